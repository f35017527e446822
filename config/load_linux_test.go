package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody does something with a folder of t.TempDir as a user to whom modes mean something: root reads everything.
func asNobody(t *testing.T, dir string, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	const nobody = 65534
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // the test's own, around all that it has
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends here, and with it that it is somebody else
		if _, err := unix.SetfsuidRetUid(nobody); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
}

func TestAFileThatIsForOthersIsSaidToBe(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	asNobody(t, dir, func() { readsForOthers(t, dir) })
}

// readsForOthers closes one file after the other.
func readsForOthers(t *testing.T, dir string) {
	file := filepath.Join(dir, "chmail.yaml")
	write(t, file, minimal)
	if err := os.Chmod(filepath.Join(dir, "privkey.pem"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), `privkey.pem" cannot be read by this user; let the server's user read it (chown)`) || strings.Contains(err.Error(), "right file") {
		t.Errorf("a key for root alone: %v", err)
	}
	live := filepath.Join(dir, "live") // a folder as certbot makes it
	if err := os.Mkdir(live, 0); err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(minimal, "cert: fullchain.pem", "cert: live/fullchain.pem", 1))
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), `live/fullchain.pem" cannot be read by this user; let the server's user read it (chown)`) {
		t.Errorf("a folder for root alone: %v", err)
	}
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.HasSuffix(err.Error(), "the configuration cannot be read by this user; run this as the server's user; if you do, let that one read it and look into its folder, for instance by chown root:chmail and chmod 640") {
		t.Errorf("a configuration for root alone: %v", err)
	}
}
