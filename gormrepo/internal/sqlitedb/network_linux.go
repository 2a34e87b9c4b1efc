package sqlitedb

import (
	"fmt"
	"syscall"

	"github.com/oauthstore/oauthstore/repository"
)

// networkFileSystems are the numbers that statfs(2) gives to file systems without shared memory between
// machines.
var networkFileSystems = map[int64]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x564c:     "NCP",
	0x73757245: "Coda",
	0x5346414f: "AFS",
	0x6b414653: "AFS",
	0x01021997: "9P",
	0x00c36400: "Ceph",
	0x47504653: "GPFS",
	0x0bd00bd0: "Lustre",
	0x013111a8: "IBRIX",
}

// refuseNetwork returns an error if dir is on a network file system, where WAL cannot work.
func refuseNetwork(dir, path string) error {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return fmt.Errorf("cannot look at the file system of %s: %w", path, err)
	}
	return refuseFileSystem(int64(stat.Type), path) //nolint:unconvert // its type differs between architectures
}

func refuseFileSystem(number int64, path string) error {
	name, network := networkFileSystems[number&0xffffffff]
	if !network {
		return nil
	}
	return fmt.Errorf("%w: %s is on a network file system (%s), where SQLite's WAL does not work: "+
		"use a local disk, or PostgreSQL to share between machines", repository.ErrInvalid, path, name)
}
