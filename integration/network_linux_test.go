package integration_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

// TestAFUSEThatMachinesShareIsRefusedUnlessItIsAllowed mounts file systems that take no files, so
// that what is not refused fails for another reason.
func TestAFUSEThatMachinesShareIsRefusedUnlessItIsAllowed(t *testing.T) {
	for _, tt := range []struct {
		kind, source     string
		allowed, refused bool
	}{
		{kind: "fuse.sshfs", source: "ada@host:", refused: true},
		{kind: "fuse", source: "s3fs", refused: true},
		{kind: "fuse.sshfs", source: "ada@host:", allowed: true},
		{kind: "fuse.mergerfs", source: "s3fs"},
	} {
		dir := t.TempDir()
		mountFUSE(t, tt.kind, tt.source, dir)
		inside := filepath.Join(t.TempDir(), "bound")
		mount(t, dir, inside, "", syscall.MS_BIND, "")
		for name, open := range opensOf(t, tt.allowed) {
			for _, path := range []string{filepath.Join(dir, "oauth.db"), filepath.Join(inside, "oauth.db")} {
				t.Run(fmt.Sprint(name, ", ", tt.kind, " of ", tt.source, ", allowed: ", tt.allowed), func(t *testing.T) {
					err := open(path)
					if err == nil {
						t.Fatal("it opened")
					}
					refused := errors.Is(err, repository.ErrInvalid) && strings.Contains(err.Error(), "AllowNetwork")
					if refused != tt.refused {
						t.Errorf("got %v", err)
					}
				})
			}
		}
	}
}

// opensOf returns the ways to open a file.
func opensOf(t *testing.T, allowNetwork bool) map[string]func(path string) error {
	opens := map[string]func(path string) error{
		"config": func(path string) error {
			c := config.Config{
				Backend: config.SQLite, SQLitePath: path, SQLiteAllowNetwork: allowNetwork,
				AuthorizationCodeTTL: time.Hour, AccessTokenTTL: time.Hour, RefreshTokenTTL: 24 * time.Hour,
			}
			return closed(config.Open(t.Context(), c))
		},
	}
	for _, d := range sqliteDrivers {
		opens[d.name] = func(path string) error {
			return closed(d.open(t.Context(), path, &sqlite.Options{AllowNetwork: allowNetwork}))
		}
	}
	return opens
}

// closed closes a store if it was opened, and returns the first error.
func closed[S repository.Store](store S, err error) error {
	if err != nil {
		return err
	}
	return store.Close()
}

// TestALocalFileSystemIsNotTakenForASharedOneByTheNameOfItsSource has a tmpfs that calls its source
// s3fs.
func TestALocalFileSystemIsNotTakenForASharedOneByTheNameOfItsSource(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mounted")
			mount(t, "s3fs", dir, "tmpfs", 0, "")
			if err := closed(d.open(t.Context(), filepath.Join(dir, "oauth.db"), nil)); err != nil {
				t.Error(err)
			}
		})
	}
}

// mount makes the directory dir, and mounts something there until the test ends.
func mount(t *testing.T, source, dir, kind string, flags uintptr, options string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(source, dir, kind, flags, options); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skip("only root can mount")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

// mountFUSE mounts an empty directory that this process serves.
func mountFUSE(t *testing.T, kind, source, dir string) {
	t.Helper()
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("FUSE cannot be had: %v", err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { // after the unmount, which ends the reads
		serving.Wait()
		_ = device.Close()
	})
	mount(t, source, dir, kind, 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device.Fd()))
	serving.Go(func() { serveFUSE(int(device.Fd())) })
}

// serveFUSE answers as an empty directory that takes no files (linux/fuse.h).
func serveFUSE(device int) {
	const (
		opGetattr, opStatfs, opInit = 3, 17, 26
		sizeOfAttr, sizeOfStatfs    = 16 + 88, 80
		version, minor, mostWritten = 7, 31, 4096
		modeOfAttr, linksOfAttr     = 16 + 60, 16 + 64
	)
	request := make([]byte, 64<<10)
	for {
		n, err := unix.Read(device, request)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil || n < 40 {
			return
		}
		body, failed := []byte(nil), unix.Errno(0)
		switch binary.NativeEndian.Uint32(request[4:]) {
		case opInit:
			body = make([]byte, 64)
			binary.NativeEndian.PutUint32(body[0:], version)
			binary.NativeEndian.PutUint32(body[4:], minor)
			binary.NativeEndian.PutUint32(body[20:], mostWritten)
		case opGetattr:
			body = make([]byte, sizeOfAttr)
			binary.NativeEndian.PutUint32(body[modeOfAttr:], unix.S_IFDIR|0o700)
			binary.NativeEndian.PutUint32(body[linksOfAttr:], 2)
		case opStatfs:
			body = make([]byte, sizeOfStatfs)
		default:
			failed = unix.ENOENT
		}
		answer := make([]byte, 16, 16+len(body))
		binary.NativeEndian.PutUint32(answer[0:], uint32(cap(answer)))
		binary.NativeEndian.PutUint32(answer[4:], uint32(-int32(failed)))
		copy(answer[8:], request[8:16]) // which request it answers
		if _, err := unix.Write(device, append(answer, body...)); err != nil && !errors.Is(err, unix.ENOENT) {
			return
		}
	}
}
