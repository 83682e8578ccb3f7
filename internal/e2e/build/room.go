//go:build unix

package build

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Room says with an error if less than so many bytes are free where a folder is. A full disk else shows as whatever
// fails first.
func Room(folder string, needed uint64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		return fmt.Errorf("asking how much room is left in %s: %w", folder, err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < needed { //nolint:gosec // a block's size is positive
		return fmt.Errorf("%s has %d MiB free, and %d MiB are needed: the disk is full", folder, free>>20, needed>>20)
	}
	return nil
}

// Lock waits until it has a lock file to itself. The kernel gives it back when the process ends, however that is.
func Lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}

// Held says if some process holds a lock file.
func Held(path string) (bool, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return false, err
	}
	defer file.Close()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
