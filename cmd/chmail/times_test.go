package main

import (
	"reflect"
	"testing"
	"time"

	"chmail/config"
)

func TestEveryDurationOfTheConfigurationReachesTheCall(t *testing.T) {
	t.Parallel()
	c := config.Chat{Ring: time.Hour, Pause: 2 * time.Hour, Rings: 7}
	set := reflect.ValueOf(&c.Times).Elem()
	for i := range set.NumField() {
		set.Field(i).SetInt(int64(i + 1))
	}
	got := times(&c)
	if got.Ring != c.Ring || got.Pause != c.Pause || got.Rings != c.Rings {
		t.Errorf("it rings %d times for %s, every %s", got.Rings, got.Ring, got.Pause)
	}
	for i := range set.NumField() {
		name := set.Type().Field(i).Name
		if name == "Transcript" {
			continue // the chat server goes by it
		}
		if f := reflect.ValueOf(got).FieldByName(name); !f.IsValid() || f.Int() != int64(i+1) {
			t.Errorf("chat.times: the call does not go by %s", name)
		}
	}
}

func TestTheLogSaysWhichRedisAndNotItsPassword(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"": "memory", "redis://127.0.0.1:6379/0": "redis://127.0.0.1:6379/0", "rediss://chmail:hunter2@redis.example.com:6380/1?x=hunter2": "rediss://redis.example.com:6380/1",
	} {
		if got := mapsAt(url); got != want {
			t.Errorf("%s is logged as %q, want %q", url, got, want)
		}
	}
}
