package sqlitedb

import (
	"errors"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"

	"github.com/oauthstore/oauthstore/repository"
)

func TestAFileOnANetworkFileSystemIsRefusedByName(t *testing.T) {
	for number, name := range networkFileSystems {
		wantRefused(t, refuseFileSystem(number, "/mnt/oauth.db"), name)
	}
	if err := refuseFileSystem(0xef53, "/mnt/oauth.db"); err != nil {
		t.Errorf("ext4: %v", err)
	}
}

func TestAFileOnAFUSEThatMachinesShareIsRefusedByName(t *testing.T) {
	for mount, name := range map[string]string{
		"fuse.sshfs ada@host:/home/ada rw,user_id=0":   "sshfs",
		`fuse.sshfs ada@host:/my\040home rw`:           "sshfs",
		"fuse.glusterfs host:/volume rw":               "glusterfs",
		"fuse.juicefs JuiceFS:volume rw":               "juicefs",
		"fuse JuiceFS:volume rw":                       "JuiceFS",
		"fuse.s3fs s3fs rw":                            "s3fs",
		"fuse s3fs rw":                                 "s3fs",
		`fuse s3fs\043bucket rw`:                       "s3fs",
		"fuse s3fs#bucket rw":                          "s3fs",
		"fuse.goofys bucket rw":                        "goofys",
		"fuse goofys#bucket rw":                        "goofys",
		"fuse.geesefs bucket: rw":                      "geesefs",
		"fuse mountpoint-s3 rw,nosuid":                 "mountpoint-s3",
		"fuse s3://bucket/prefix/ rw":                  "mountpoint-s3",
		"fuse.rclone remote:path rw":                   "rclone",
		"fuse.ceph-fuse ceph-fuse rw":                  "ceph-fuse",
		"fuse.mfs host:9421 rw":                        "mfs",
		`fuse mfs\043host:9421 rw`:                     "mfs",
		"fuse.moosefs host:9421 rw":                    "moosefs",
		"fuse.lizardfs host:9421 rw":                   "lizardfs",
		"fuse.beegfs beegfs_nodev rw":                  "beegfs",
		"fuse.seaweedfs host:8888:/ rw":                "seaweedfs",
		"fuse.cubefs cubefs-volume rw":                 "cubefs",
		"fuse.gcsfuse bucket rw":                       "gcsfuse",
		"fuse gcsfuse rw":                              "gcsfuse",
		"fuse blobfuse rw":                             "blobfuse",
		"fuse.blobfuse2 blobfuse2 rw":                  "blobfuse2",
		"fuse blobfuse2 rw":                            "blobfuse2",
		"fuse https://dav.example/home rw":             "davfs2",
		"fuse.davfs2 dav rw":                           "davfs2",
		"fuse curlftpfs#ftp://host/ rw":                "curlftpfs",
		"fuse.curlftpfs curlftpfs#ftp://host/ rw":      "curlftpfs",
		"fuse.dropbox dropbox rw":                      "dropbox",
		"fuse.vmhgfs-fuse vmhgfs-fuse rw":              "vmhgfs-fuse",
		"fuse.gvfsd-fuse gvfsd-fuse rw":                "gvfsd-fuse",
		"shared:5 master:2 - fuse.sshfs host: rw":      "sshfs",
		"fuse.fuse-overlayfs fuse-overlayfs rw":        "",
		"fuse.mergerfs a:b rw":                         "",
		"fuse.gocryptfs /home/ada/cipher rw":           "",
		"fuse.encfs encfs rw":                          "",
		"fuse.bindfs /home/ada/s3fs rw":                "",
		"fuse /dev/fuse rw":                            "",
		"fuse bucket rw":                               "",
		"fuse.unknown sshfs rw":                        "",
		"fuseblk /dev/sda1 rw":                         "",
		"fuseblk.ntfs-3g sshfs rw":                     "",
		"fusectl sshfs rw":                             "",
		"virtiofs sshfs rw":                            "",
		"tmpfs s3fs rw":                                "",
		"ext4 sshfs#x rw":                              "",
		"fuse.portal portal rw":                        "",
		"fuse.snapfuse snapfuse rw":                    "",
		"fuse.lxcfs lxcfs rw":                          "",
		"fuse none rw":                                 "",
		"fuse  rw":                                     "",
		"fuse.grpcfuse grpcfuse rw":                    "",
		"fuse.s3ql s3c://host/bucket rw":               "", // one machine alone can mount it
		"fuse file:///home/ada/archive rw":             "",
		"fuse.fuse-archive /home/ada/archive.tar.gz r": "",
	} {
		optional, rest, tagged := strings.Cut(mount, " - ")
		if !tagged {
			optional, rest = "shared:5", mount
		}
		line := "36 35 0:98 / /mnt rw,noatime " + optional + " - " + rest + "\n"
		found, err := mountinfo.GetMountsFromReader(strings.NewReader(line), nil)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v", line, err)
		}
		err = refuseMount(found[0], "/mnt/oauth.db")
		switch {
		case name != "":
			wantRefused(t, err, name)
		case err != nil:
			t.Errorf("%s: %v", mount, err)
		}
	}
}

func wantRefused(t *testing.T, err error, name string) {
	t.Helper()
	if !errors.Is(err, repository.ErrInvalid) {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, word := range []string{name, "/mnt/oauth.db", "PostgreSQL", "MySQL", "AllowNetwork"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: the error lacks %s: %v", name, word, err)
		}
	}
}
