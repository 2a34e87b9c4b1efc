package sqlitedb

import (
	"fmt"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/oauthstore/oauthstore/repository"
)

// networkFileSystems are the numbers that statfs(2) gives to file systems without shared memory
// between machines.
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
	0x19830326: "BeeGFS",
}

// sharedFUSE are the file systems by FUSE that several machines can have mounted, as they name
// themselves in mountinfo.
var sharedFUSE = map[string]bool{
	// of other machines
	"sshfs": true, "curlftpfs": true, "davfs": true, "davfs2": true, "smbnetfs": true, "gvfsd-fuse": true,
	"vmhgfs-fuse": true, "dropbox": true,
	// of clusters
	"glusterfs": true, "ceph-fuse": true, "ceph": true, "mfs": true, "moosefs": true, "lizardfs": true,
	"beegfs": true, "seaweedfs": true, "juicefs": true, "cubefs": true,
	// of object storage
	"s3fs": true, "goofys": true, "geesefs": true, "mountpoint-s3": true, "rclone": true, "gcsfuse": true,
	"blobfuse": true, "blobfuse2": true, "ossfs": true, "cosfs": true,
}

// refuseNetwork returns an error if dir is on a network file system, where WAL cannot work.
func refuseNetwork(dir, path string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return fmt.Errorf("cannot look at the file system of %s: %w", path, err)
	}
	number := int64(stat.Type) //nolint:unconvert // its type differs between architectures
	if number&0xffffffff == unix.FUSE_SUPER_MAGIC {
		return refuseFUSE(dir, path)
	}
	return refuseFileSystem(number, path)
}

func refuseFileSystem(number int64, path string) error {
	if name, network := networkFileSystems[number&0xffffffff]; network {
		return errNetwork(name, path)
	}
	return nil
}

// refuseFUSE finds the mount of dir by its device, which no other file system has. If it is not to
// be seen, nothing is known against it.
func refuseFUSE(dir, path string) error {
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_INO, &stat); err != nil {
		return nil //nolint:nilerr // what cannot be looked at is no evidence
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		same := m.Major == int(stat.Dev_major) && m.Minor == int(stat.Dev_minor)
		return !same, same
	})
	if err != nil || len(mounts) == 0 {
		return nil //nolint:nilerr // what cannot be looked at is no evidence
	}
	return refuseMount(mounts[0], path)
}

func refuseMount(mount *mountinfo.Info, path string) error {
	if kind := kindOfFUSE(mount); sharedFUSE[strings.ToLower(kind)] {
		return errNetwork(kind+", by FUSE", path)
	}
	return nil
}

// kindOfFUSE returns what is mounted: "sshfs" of the type fuse.sshfs, or of the type fuse and the
// source sshfs or sshfs#..., or "" of another type. A URL is the source of davfs2 and
// mountpoint-s3.
func kindOfFUSE(mount *mountinfo.Info) string {
	main, kind, _ := strings.Cut(mount.FSType, ".")
	switch {
	case main != "fuse":
		return ""
	case kind != "":
		return kind
	}
	switch scheme, _, _ := strings.Cut(mount.Source, "://"); scheme {
	case "http", "https":
		return "davfs2"
	case "s3":
		return "mountpoint-s3"
	}
	if end := strings.IndexAny(mount.Source, "#:"); end >= 0 {
		return mount.Source[:end]
	}
	return mount.Source
}

func errNetwork(name, path string) error {
	return fmt.Errorf("%w: %s is on a network file system (%s), where SQLite's WAL does not work: "+
		"use a local disk, or PostgreSQL or MySQL to share between machines; set AllowNetwork if only one machine uses it",
		repository.ErrInvalid, path, name)
}
