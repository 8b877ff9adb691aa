// SPDX-License-Identifier: LGPL-2.1-or-later

// Contestant: containerd's overlay snapshotter in this process, with its bolt
// database as it ships.  The rows are those of bench/shale.c, which says what
// each is; the argument nosync=1 takes the database's fsyncs away, which
// containerd does not offer.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/overlay"
	"github.com/containerd/containerd/snapshots/storage"
	bolt "go.etcd.io/bbolt"
)

const (
	batch = 100
	chain = 10
)

type row struct {
	setUp    func(*contest) error
	once     func(*contest) (time.Duration, error)
	together func(*contest, int) (time.Duration, error)
}

// contest is one row while it lasts.
type contest struct {
	dir, root string
	args      map[string]string
	size      int
	sn        snapshots.Snapshotter
	row       row
}

var ctx = context.Background()

func (c *contest) number(key string, fallback int) int {
	n, err := strconv.Atoi(c.args[key])
	if err != nil {
		return fallback
	}
	return n
}

func layer(i int) string { return "layer-" + strconv.Itoa(i) }

// ---- stores ----

// database is what the snapshotter keeps to itself: it opens it at the first
// transaction.
func database(sn snapshots.Snapshotter) *bolt.DB {
	ms := reflect.ValueOf(sn).Elem().FieldByName("ms").Elem()
	return (*bolt.DB)(unsafe.Pointer(ms.FieldByName("db").Pointer()))
}

func (c *contest) open() error {
	sn, err := overlay.NewSnapshotter(c.root)
	if err != nil {
		return err
	}
	c.sn = sn
	if c.args["nosync"] != "" {
		if _, err := sn.Stat(ctx, layer(0)); err != nil {
			return err
		}
		database(sn).NoSync = true
	}
	return nil
}

func (c *contest) close() {
	if c.sn != nil {
		c.sn.Close()
	}
	c.sn = nil
}

// addLayers writes the records of all layers in a few transactions, and their
// directories as createSnapshot does.
func addLayers(root string, from, to, length int) error {
	ms, err := storage.NewMetaStore(filepath.Join(root, "metadata.db"))
	if err != nil {
		return err
	}
	defer ms.Close()
	tctx, t, err := ms.TransactionContext(ctx, true)
	if err != nil {
		return err
	}
	defer t.Rollback()
	for i := from; i < to; i++ {
		var parent string
		if i%length != 0 {
			parent = layer(i - 1)
		}
		s, err := storage.CreateSnapshot(tctx, snapshots.KindActive,
			"making", parent)
		if err != nil {
			return err
		}
		var opts []snapshots.Opt
		if i%100 == 0 {
			opts = append(opts, snapshots.WithLabels(
				map[string]string{"bench": "yes"}))
		}
		usage := snapshots.Usage{Size: 4096, Inodes: 1}
		if _, err := storage.CommitActive(tctx, "making", layer(i),
			usage, opts...); err != nil {
			return err
		}
		for _, sub := range []string{"fs", "work"} {
			if err := os.MkdirAll(filepath.Join(root, "snapshots",
				s.ID, sub), 0755); err != nil {
				return err
			}
		}
	}
	return t.Commit()
}

// fill is done once a store; the mark says so.
func (c *contest) fill(name string, size, length int) error {
	c.root = filepath.Join(c.dir, name)
	if _, err := os.Stat(c.root + ".full"); err == nil {
		return nil
	}
	out, err := exec.Command("/proc/self/exe", "--fill", c.root,
		strconv.Itoa(size), strconv.Itoa(length)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fill: %v: %s", err, out)
	}
	defer syscall.Sync()
	return os.WriteFile(c.root+".full", nil, 0600)
}

func fill(root string, size, length int) error {
	if err := os.MkdirAll(filepath.Join(root, "snapshots"), 0700); err != nil {
		return err
	}
	for from := 0; from < size; from += 5000 {
		to := from + 5000
		if to > size {
			to = size
		}
		if err := addLayers(root, from, to, length); err != nil {
			return err
		}
	}
	return nil
}

func setUpFull(c *contest) error {
	c.size = c.number("size", 100)
	if err := c.fill(fmt.Sprintf("full-%d", c.size), c.size, chain); err != nil {
		return err
	}
	return c.open()
}

func setUpWarm(c *contest) error {
	if err := setUpFull(c); err != nil {
		return err
	}
	_, err := walk(c)
	return err
}

func setUpLayers(c *contest) error {
	c.size = c.number("layers", 10)
	err := c.fill(fmt.Sprintf("chain-%d", c.size), c.size, 1<<30)
	if err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	if _, err := c.sn.Stat(ctx, "tip"); err == nil {
		return nil
	}
	return c.prepare("tip", layer(c.size-1))
}

func setUpBase(c *contest) error {
	c.size = c.number("files", 100)
	if err := c.fill("base", 1, chain); err != nil {
		return err
	}
	return c.open()
}

func setUpCycle(c *contest) error {
	if err := c.fill("cycle", chain, chain); err != nil {
		return err
	}
	return c.open()
}

func (c *contest) prepare(key, parent string) error {
	_, err := c.sn.Prepare(ctx, key, parent)
	return err
}

// ---- looking ----

func statSome(c *contest) (time.Duration, error) {
	names := make([]string, batch)
	for i := range names {
		names[i] = layer(rand.Intn(c.size))
	}
	start := time.Now()
	for _, name := range names {
		if _, err := c.sn.Stat(ctx, name); err != nil {
			return 0, err
		}
	}
	return time.Since(start) / batch, nil
}

func walkCounting(c *contest, expected int, filters ...string) (time.Duration,
	error) {
	count := 0
	start := time.Now()
	err := c.sn.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if info.Kind == snapshots.KindCommitted {
			count++
		}
		return nil
	}, filters...)
	took := time.Since(start)
	if err == nil && count != expected {
		err = fmt.Errorf("%d of %d seen", count, expected)
	}
	return took, err
}

func walk(c *contest) (time.Duration, error) { return walkCounting(c, c.size) }

func walkLabel(c *contest) (time.Duration, error) {
	return walkCounting(c, (c.size+99)/100, "labels.bench==yes")
}

func walkNew(c *contest) (time.Duration, error) {
	c.close() // the database is locked by whoever has it open
	start := time.Now()
	out, err := exec.Command("/proc/self/exe", "--walk",
		c.root).CombinedOutput()
	took := time.Since(start)
	if err != nil {
		err = fmt.Errorf("a process that walks: %v: %s", err, out)
	}
	return took, err
}

func (c *contest) mountsTimes(key string, times int) (time.Duration, error) {
	start := time.Now()
	for i := 0; i < times; i++ {
		m, err := c.sn.Mounts(ctx, key)
		if err != nil || len(m) != 1 {
			return 0, fmt.Errorf("mounts: %v", err)
		}
	}
	return time.Since(start) / time.Duration(times), nil
}

func chainOf(c *contest) (time.Duration, error) {
	return c.mountsTimes("tip", batch)
}

func chainNew(c *contest) (time.Duration, error) {
	c.close()
	if err := c.open(); err != nil {
		return 0, err
	}
	return c.mountsTimes("tip", 1)
}

// ---- changing ----

// timed measures the one of several steps that is not nil in the middle.
func timed(before, measured, after func() error) (time.Duration, error) {
	if before != nil {
		if err := before(); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	err := measured()
	took := time.Since(start)
	if err == nil && after != nil {
		err = after()
	}
	return took, err
}

func (c *contest) preparing(parent string) func() error {
	return func() error { return c.prepare("one", parent) }
}

func (c *contest) removing(name string) func() error {
	return func() error { return c.sn.Remove(ctx, name) }
}

func (c *contest) committing() error { return c.sn.Commit(ctx, "two", "one") }

func prepareOne(c *contest) (time.Duration, error) {
	return timed(nil, c.preparing(layer(chain-1)), c.removing("one"))
}

func removeOne(c *contest) (time.Duration, error) {
	return timed(c.preparing(layer(chain-1)), c.removing("one"), nil)
}

func mountsOne(c *contest) (time.Duration, error) {
	if err := c.prepare("one", layer(chain-1)); err != nil {
		return 0, err
	}
	took, err := c.mountsTimes("one", batch)
	if err != nil {
		return 0, err
	}
	return took, c.sn.Remove(ctx, "one")
}

func deleteOne(c *contest) (time.Duration, error) {
	return timed(func() error {
		if err := c.prepare("one", layer(chain-1)); err != nil {
			return err
		}
		return c.committing()
	}, c.removing("two"), nil)
}

func commitOne(c *contest) (time.Duration, error) {
	return timed(c.preparing(layer(0)), c.committing, c.removing("two"))
}

func upper(m []mount.Mount) (string, error) {
	for _, o := range m[0].Options {
		if strings.HasPrefix(o, "upperdir=") {
			return o[len("upperdir="):], nil
		}
	}
	return "", errors.New("no upperdir")
}

// writeFiles makes the tree of bench/files.c.
func (c *contest) writeFiles() error {
	m, err := c.sn.Mounts(ctx, "one")
	if err != nil {
		return err
	}
	top, err := upper(m)
	if err != nil {
		return err
	}
	content := make([]byte, 4096)
	for i := 0; i < c.size; i++ {
		dir := filepath.Join(top, fmt.Sprintf("dir-%d", i/100))
		if i%100 == 0 {
			if err := os.Mkdir(dir, 0755); err != nil {
				return err
			}
		}
		for j := range content {
			content[j] = byte('a' + i%26)
		}
		err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%d", i)),
			content, 0644)
		if err != nil {
			return err
		}
	}
	return nil
}

func commitFiles(c *contest) (time.Duration, error) {
	return timed(func() error {
		defer syscall.Sync()
		return c.prepare("one", layer(0))
	}, func() error {
		if err := c.writeFiles(); err != nil {
			return err
		}
		return c.committing()
	}, c.removing("two"))
}

func setUpFiles(c *contest) error {
	if err := setUpBase(c); err != nil {
		return err
	}
	if err := c.prepare("one", layer(0)); err != nil {
		return err
	}
	return c.writeFiles()
}

func usage(c *contest) (time.Duration, error) {
	return timed(nil, func() error {
		_, err := c.sn.Usage(ctx, "one")
		return err
	}, nil)
}

func removeFiles(c *contest) (time.Duration, error) {
	return timed(func() error {
		defer syscall.Sync()
		if err := c.prepare("one", layer(0)); err != nil {
			return err
		}
		return c.writeFiles()
	}, c.removing("one"), nil)
}

func setUpSiblings(c *contest) error {
	c.size = c.number("size", 1)
	err := c.fill(fmt.Sprintf("siblings-%d", c.size), chain, chain)
	if err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	if _, err := c.sn.Stat(ctx, layer(0)); err != nil {
		return err
	}
	db := database(c.sn)
	kept := db.NoSync
	db.NoSync = true
	defer func() { db.NoSync = kept }()
	for i := 0; i < c.size; i++ {
		err := c.prepare("sibling-"+strconv.Itoa(i), layer(chain-1))
		if err != nil {
			return err
		}
	}
	return nil
}

func beside(c *contest) (time.Duration, error) {
	return timed(c.preparing(layer(chain-1)), c.removing("one"), nil)
}

func (c *contest) turn(key string) error {
	if err := c.prepare(key, layer(chain-1)); err != nil {
		return err
	}
	if _, err := c.sn.Mounts(ctx, key); err != nil {
		return err
	}
	return c.sn.Remove(ctx, key)
}

func cycle(c *contest, count int) (time.Duration, error) {
	threads := c.number("threads", 1)
	failures := make([]error, threads)
	var all sync.WaitGroup
	start := time.Now()
	for n := 0; n < threads; n++ {
		all.Add(1)
		go func(n int) {
			defer all.Done()
			key := "worker-" + strconv.Itoa(n)
			for i := n; i < count && failures[n] == nil; i += threads {
				failures[n] = c.turn(key)
			}
		}(n)
	}
	all.Wait()
	took := time.Since(start)
	for _, err := range failures {
		if err != nil {
			return 0, err
		}
	}
	return took, nil
}

var rows = map[string]row{
	"cycle":        {setUpCycle, nil, cycle},
	"commit":       {setUpBase, commitOne, nil},
	"commit-files": {setUpBase, commitFiles, nil},
	"stat":         {setUpWarm, statSome, nil},
	"walk":         {setUpWarm, walk, nil},
	"walk-label":   {setUpWarm, walkLabel, nil},
	"walk-new":     {setUpFull, walkNew, nil},
	"memory":       {setUpWarm, walk, nil},
	"prepare":      {setUpWarm, prepareOne, nil},
	"mounts":       {setUpWarm, mountsOne, nil},
	"remove":       {setUpWarm, removeOne, nil},
	"delete":       {setUpWarm, deleteOne, nil},
	"chain":        {setUpLayers, chainOf, nil},
	"chain-new":    {setUpLayers, chainNew, nil},
	"usage":        {setUpFiles, usage, nil},
	"remove-files": {setUpBase, removeFiles, nil},
	"siblings":     {setUpSiblings, beside, nil},
	"mount":        {setUpMount, mountOnce, nil},
}

// ---- the protocol ----

func (c *contest) start(words []string) error {
	c.close()
	if len(words) == 0 {
		return errors.New("setup: no row")
	}
	r, ok := rows[words[0]]
	if !ok {
		return fmt.Errorf("no row '%s' here", words[0])
	}
	c.args = map[string]string{}
	for _, word := range words[1:] {
		if key, value, ok := strings.Cut(word, "="); ok {
			c.args[key] = value
		}
	}
	c.row = r
	return r.setUp(c)
}

func (c *contest) round(words []string) (string, error) {
	count := 0
	if len(words) == 1 {
		count, _ = strconv.Atoi(words[0])
	}
	if count < 1 {
		return "", errors.New("round: no number")
	}
	if c.row.together != nil {
		took, err := c.row.together(c, count)
		return fmt.Sprintf("wall %d %d", took.Nanoseconds(), count), err
	}
	var answers []string
	for i := 0; i < count; i++ {
		took, err := c.row.once(c)
		if err != nil {
			return "", err
		}
		answers = append(answers, strconv.FormatInt(took.Nanoseconds(), 10))
	}
	return strings.Join(answers, " "), nil
}

func rss() string {
	text, err := os.ReadFile("/proc/self/statm")
	words := strings.Fields(string(text))
	if err != nil || len(words) < 2 {
		return "unknown"
	}
	pages, _ := strconv.Atoi(words[1])
	return strconv.Itoa(pages * os.Getpagesize() / 1024)
}

func (c *contest) answer(words []string) (string, error) {
	switch words[0] {
	case "setup":
		return "ok", c.start(words[1:])
	case "round":
		return c.round(words[1:])
	case "info":
		if len(words) > 1 && words[1] == "rss_kib" {
			return rss(), nil
		}
		return "unknown", nil
	}
	return "", fmt.Errorf("unknown word '%s'", words[0])
}

func serve(dir string) {
	c := &contest{dir: dir}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if words[0] == "end" {
			break
		}
		answer, err := c.answer(words)
		if err != nil {
			answer = "error " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(answer)
	}
	c.close()
}

func walkAndExit(root string) error {
	c := &contest{root: root}
	if err := c.open(); err != nil {
		return err
	}
	count := 0
	err := c.sn.Walk(ctx, func(context.Context, snapshots.Info) error {
		count++
		return nil
	})
	if err == nil && count == 0 {
		err = errors.New("nothing there")
	}
	c.close()
	return err
}

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "--walk":
		err = walkAndExit(os.Args[2])
	case len(os.Args) == 5 && os.Args[1] == "--fill":
		size, _ := strconv.Atoi(os.Args[3])
		length, _ := strconv.Atoi(os.Args[4])
		err = fill(os.Args[2], size, length)
	case len(os.Args) == 2 && filepath.IsAbs(os.Args[1]):
		serve(os.Args[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: containerd /DIRECTORY")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
