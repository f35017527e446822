package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// bind converts arguments to what the driver takes. The result is the connection's own slice, valid until the next call.
func (c *conn) bind(args []any) ([]driver.NamedValue, error) {
	c.args = c.args[:0]
	for i, a := range args {
		v, err := argument(a)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args, nil
}

func argument(a any) (driver.Value, error) {
	switch v := a.(type) {
	case nil, int64, string, []byte, float64:
		return v, nil
	case int:
		return int64(v), nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case time.Time:
		return v.UnixMilli(), nil
	}
	v, err := driver.DefaultParameterConverter.ConvertValue(a)
	if t, ok := v.(time.Time); ok {
		return t.UnixMilli(), err
	}
	return v, err
}

// assign stores a column's value. The driver gives int64, float64, string, []byte and nil; slices are ours to keep.
func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *any:
		*d = v
		return nil
	case sql.Scanner:
		return d.Scan(v)
	}
	if v == nil {
		return assignNull(dest)
	}
	switch d := dest.(type) {
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	case *int:
		if n, ok := v.(int64); ok && int64(int(n)) == n {
			*d = int(n)
			return nil
		}
	case *bool:
		if n, ok := v.(int64); ok && (n == 0 || n == 1) {
			*d = n == 1
			return nil
		}
	case *string:
		switch s := v.(type) {
		case string:
			*d = s
			return nil
		case []byte:
			*d = string(s)
			return nil
		}
	case *[]byte:
		switch s := v.(type) {
		case []byte:
			*d = s
			return nil
		case string:
			*d = []byte(s)
			return nil
		}
	case *time.Time:
		if n, ok := v.(int64); ok {
			*d = time.UnixMilli(n)
			return nil
		}
	default:
		return assignKind(dest, v)
	}
	return fmt.Errorf("cannot store %T in %T", v, dest)
}

// assignNull: NULL fits a slice or a pointer, and nothing else, so that a forgotten NULL does not become a zero.
func assignNull(dest any) error {
	rv := reflect.ValueOf(dest)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return errors.New("destination is not a pointer")
	}
	switch rv.Elem().Kind() {
	case reflect.Slice, reflect.Pointer:
		rv.Elem().SetZero()
		return nil
	}
	return fmt.Errorf("cannot store NULL in %T", dest)
}

// assignKind serves types that are named by their rooms, and the numbers that are rare.
func assignKind(dest any, v driver.Value) error {
	rv := reflect.ValueOf(dest)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return errors.New("destination is not a pointer")
	}
	e := rv.Elem()
	switch n := v.(type) {
	case int64:
		switch {
		case e.CanInt() && !e.OverflowInt(n):
			e.SetInt(n)
			return nil
		case e.CanUint() && n >= 0 && !e.OverflowUint(uint64(n)):
			e.SetUint(uint64(n))
			return nil
		case e.CanFloat():
			e.SetFloat(float64(n))
			return nil
		case e.Kind() == reflect.Bool && (n == 0 || n == 1):
			e.SetBool(n == 1)
			return nil
		}
	case float64:
		if e.CanFloat() {
			e.SetFloat(n)
			return nil
		}
	case string:
		if e.Kind() == reflect.String {
			e.SetString(n)
			return nil
		}
	case []byte:
		switch {
		case e.Kind() == reflect.Slice && e.Type().Elem().Kind() == reflect.Uint8:
			e.SetBytes(n)
			return nil
		case e.Kind() == reflect.Array && e.Type().Elem().Kind() == reflect.Uint8 && e.Len() == len(n):
			reflect.Copy(e, reflect.ValueOf(n))
			return nil
		}
	}
	if e.Kind() == reflect.Pointer { // a pointer to a pointer: NULL is possible, and this is not NULL
		p := reflect.New(e.Type().Elem())
		if err := assign(p.Interface(), v); err != nil {
			return err
		}
		e.Set(p)
		return nil
	}
	return fmt.Errorf("cannot store %T in %T", v, dest)
}
