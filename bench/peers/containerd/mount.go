// SPDX-License-Identifier: LGPL-2.1-or-later

// The row of bench/mount.c: what the snapshotter's Mounts has given, mounted
// and unmounted as containerd's callers do.
package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/mount"
)

func (c *contest) target() string { return filepath.Join(c.dir, "target") }

func setUpMount(c *contest) error {
	if err := setUpLayers(c); err != nil {
		return err
	}
	return os.MkdirAll(c.target(), 0755)
}

func mountOnce(c *contest) (time.Duration, error) {
	mounts, err := c.sn.Mounts(ctx, "tip")
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := mount.All(mounts, c.target()); err != nil {
		return 0, err
	}
	err = mount.Unmount(c.target(), 0)
	return time.Since(start), err
}
