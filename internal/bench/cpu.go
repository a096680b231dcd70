package main

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit in which Linux counts CPU time for programs (USER_HZ).
const tick = 10 * time.Millisecond

// procStat is what is read of /proc/PID/stat.
type procStat struct {
	parent int
	own    time.Duration // user and system mode
	reaped time.Duration // of children that have ended
}

// parseStat reads "pid (name) state parent …"; the name may hold anything, also
// brackets. See proc_pid_stat(5): parent is field 4, the times 14 to 17.
func parseStat(data string) (s procStat, err error) {
	const parent, utime, stime, cutime, cstime = 1, 11, 12, 13, 14
	fields := strings.Fields(data[strings.LastIndexByte(data, ')')+1:])
	if len(fields) <= cstime {
		return s, fmt.Errorf("a stat of %d fields", len(fields))
	}
	var n [cstime + 1]int
	for _, i := range []int{parent, utime, stime, cutime, cstime} {
		if n[i], err = strconv.Atoi(fields[i]); err != nil {
			return s, err
		}
	}
	return procStat{n[parent], time.Duration(n[utime]+n[stime]) * tick, time.Duration(n[cutime]+n[cstime]) * tick}, nil
}

// cpuOf is what a process has used so far; zero when it has ended.
func cpuOf(proc fs.FS, pid int) procStat {
	data, err := fs.ReadFile(proc, strconv.Itoa(pid)+"/stat")
	if err != nil {
		return procStat{}
	}
	s, err := parseStat(string(data))
	if err != nil {
		return procStat{}
	}
	return s
}

// cpuOfFamily is what a process and its children have used so far, also those
// that have ended.
func cpuOfFamily(proc fs.FS, pid int) time.Duration {
	head := cpuOf(proc, pid)
	sum := head.own + head.reaped
	entries, _ := fs.ReadDir(proc, ".") // without /proc there are no figures
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil || child == pid {
			continue
		}
		if s := cpuOf(proc, child); s.parent == pid {
			sum += s.own
		}
	}
	return sum
}

// parseMemory is a line of /proc/PID/status, in bytes: VmHWM is the most that a
// process had resident, VmRSS what it has now.
func parseMemory(status, line string) int {
	_, rest, _ := strings.Cut(status, line)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.Atoi(fields[0]) // 0 says that there is none
	return kib << 10
}

// parseBusy is what all processors have been busy so far, as /proc/stat has it:
// user, nice, system, idle, iowait, irq, softirq and steal, see proc_stat(5).
func parseBusy(stat string) time.Duration {
	const idle, iowait, last = 3, 4, 7
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < last+2 || fields[0] != "cpu" {
		return 0
	}
	sum := 0
	for i, field := range fields[1 : last+2] {
		if i != idle && i != iowait {
			n, _ := strconv.Atoi(field) // 0 says that there is none
			sum += n
		}
	}
	return time.Duration(sum) * tick
}

// usage is CPU time by who used it, and what the measured processes allocated.
// others are all who have no part in the turn.
type usage struct {
	measured, database, simulator, load, others time.Duration
	allocated                                   counters
}

// cast is who takes part in a turn.
type cast struct {
	measured  []*process
	database  *server  // nil: none
	simulator *process // nil: none, or the measured one
}

func (c cast) used() (u usage, err error) {
	for _, p := range c.measured {
		one, err := p.counters()
		if err != nil {
			return u, err
		}
		u.allocated = u.allocated.plus(one)
	}
	proc := os.DirFS("/proc")
	for _, p := range c.measured {
		u.measured += cpuOf(proc, p.pid()).own
	}
	if c.database != nil {
		u.database = cpuOfFamily(proc, c.database.pid())
	}
	if c.simulator != nil {
		u.simulator = cpuOf(proc, c.simulator.pid()).own
	}
	u.load = cpuOf(proc, os.Getpid()).own
	if stat, err := fs.ReadFile(proc, "stat"); err == nil {
		u.others = parseBusy(string(stat)) - u.measured - u.database - u.simulator - u.load
	}
	return u, nil
}

func (u usage) since(before usage) usage {
	return usage{
		u.measured - before.measured, u.database - before.database, u.simulator - before.simulator, u.load - before.load,
		max(0, u.others-before.others), u.allocated.since(before.allocated),
	}
}
