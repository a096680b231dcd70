package main

import "fmt"

// printRates says how near the service comes to its floor.
func (r *report) printRates(out *paper) {
	out.table("", "", "store", "callers", "floor/s", "service/s", "ratio", "turns", "goal", "floor p50/p99/p99.9 ms", "service p50/p99/p99.9 ms", "added ms", "its goal")
	for _, x := range r.Rows {
		out.printf("| %s | %s | %d | %.0f | %.0f | **%.2f** | %.2f–%.2f | %s | %s | %s | %.2f | %s |\n",
			x.Name, x.where(), x.Callers, x.Floor.PerSecond, x.Service.PerSecond, x.Rate.Median, x.Rate.Low, x.Rate.High, sayGoals(x.Goals, ofRate, "%.2f"),
			x.Floor.latency(), x.Service.latency(), x.Added.Median/1e3, x.sayAdded())
	}
}

// sayAdded says the goal of the added latency, in ms.
func (x *row) sayAdded() string {
	for _, g := range x.Goals {
		if g.Of == ofAdded {
			g.Most, g.Got = g.Most/1e3, g.Got/1e3
			return g.say("%.2f")
		}
	}
	return ""
}

// where is the store, and how many replicas have it.
func (x *row) where() string {
	if x.Replicas > 1 {
		return fmt.Sprintf("%s, %d replicas", x.Store, x.Replicas)
	}
	return string(x.Store)
}

// printCosts says what an operation takes of processors and heap.
func (r *report) printCosts(out *paper) {
	out.table("For one operation:", "", "store", "callers", "floor CPU µs", "service CPU µs", "database CPU µs", "ratio", "turns", "goal",
		"floor allocations", "service allocations", "floor bytes", "service bytes")
	for _, x := range r.Rows {
		out.printf("| %s | %s | %d | %.0f | %.0f | %s | **%.1f** | %.1f–%.1f | %s | %.0f | %.0f | %.0f | %.0f |\n",
			x.Name, x.where(), x.Callers, x.Floor.CPU, x.Service.CPU, some("%.0f", x.Service.DatabaseCPU), x.CPU.Median, x.CPU.Low, x.CPU.High, sayGoals(x.Goals, ofCPU, "%.1f"),
			x.Floor.Allocs, x.Service.Allocs, x.Floor.AllocBytes, x.Service.AllocBytes)
	}
}

// printAlone says whether the figures are the service's, or those of what stands
// around it.
func (r *report) printAlone(out *paper) {
	out.table("What the benchmark's own parts can do by themselves, and how many times what the service asked of them that is:",
		"", "callers", "alone/s", "CPU µs", "most asked of it/s", "by", "times")
	for _, x := range r.Alone {
		cpu := x.Sample.LoadCPU
		if x.Name == twilioAlone {
			cpu = x.Sample.CPU
		}
		out.printf("| %s | %d | %.0f | %.0f | %s | %s | %s |\n", x.Name, x.Callers, x.Sample.PerSecond, cpu, some("%.0f", x.Asked), x.By, some("%.1f", x.Times))
	}
}

func (r *report) printFootprint(out *paper) {
	out.table("", "program", "store", "median", "extremes", "goal")
	for _, x := range r.Footprint {
		extremes := ""
		if x.Value.Low != x.Value.High {
			extremes = fmt.Sprintf("%.1f–%.1f", x.Value.Low, x.Value.High)
		}
		out.printf("| %s | %s | %.1f %s | %s | %s |\n", x.Name, x.Store, x.Value.Median, x.Unit, extremes, sayGoals(x.Goals, x.Name, "%.0f"))
	}
}

func (r *report) printSlow(out *paper) {
	out.table("While Twilio takes its time, and nobody but one caller checks:",
		"store", "Twilio takes", "in flight", "START/s", "of what they can have", "CHECK/s before, meanwhile", "p50/p99/p99.9 ms before", "meanwhile", "KiB for each send in flight", "goal")
	for _, x := range r.Slow {
		out.printf("| %s | %s | %d | %.0f | %.2f | %.0f, %.0f | %s | %s | %.1f | %s |\n", x.Store, fromMicros(x.Latency), x.Callers, x.Starts, x.Share,
			x.Before.PerSecond, x.Meanwhile.PerSecond, x.Before.latency(), x.Meanwhile.latency(), x.Memory, sayGoals(x.Goals, ofMemory, "%.0f"))
	}
}

func (r *report) printPairs(out *paper) {
	out.table("", "", "store", "callers", "A", "B", "A/s", "B/s", "A p50/p99/p99.9 ms", "B p50/p99/p99.9 ms", "A, B CPU µs", "of", "B : A", "turns", "goal")
	for _, x := range r.Pairs {
		out.printf("| %s | %s | %d | %s | %s | %.0f | %.0f | %s | %s | %.0f, %.0f | %s | **%.2f** | %.2f–%.2f | %s |\n",
			x.Name, x.Store, x.Callers, x.Plain, x.Other, x.PlainSample.PerSecond, x.OtherSample.PerSecond, x.PlainSample.latency(), x.OtherSample.latency(),
			x.PlainSample.total(), x.OtherSample.total(), x.Of, x.Ratio, x.Low, x.High, sayGoals(x.Goals, x.Of, "%.1f"))
	}
	out.printf("\n")
	for _, x := range r.Pairs {
		if x.Note != "" {
			out.printf("- %s, %s, %s: %s.\n", x.Name, x.Store, x.Other, x.Note)
		}
	}
}

// printCores says who had the processors: where others were busy, the figures are
// not worth much.
func (r *report) printCores(out *paper) {
	out.table(fmt.Sprintf("Processors of %d that were busy:", r.Machine.Processors), "turn", "callers", "a second", "measured", "database", "Twilio", "load", "others")
	line := func(name string, callers int, s sample) {
		out.printf("| %s | %d | %.0f | %.2f | %s | %s | %.2f | %.2f |\n", name, callers, s.PerSecond, s.cores(s.CPU), some("%.2f", s.cores(s.DatabaseCPU)),
			some("%.2f", s.cores(s.SimulatorCPU)), s.cores(s.LoadCPU), s.cores(s.OthersCPU))
	}
	for _, x := range r.Alone {
		line(x.Name+" alone", x.Callers, x.Sample)
	}
	for i, x := range r.Rows {
		if i == 0 || r.Rows[i-1].Name != x.Name || r.Rows[i-1].Callers != x.Callers {
			line("floor of "+x.Name, x.Callers, x.Floor)
		}
		line(x.Name+", "+x.where(), x.Callers, x.Service)
	}
	for _, x := range r.Slow {
		line("CHECK, "+string(x.Store)+", before", 1, x.Before)
		line("CHECK, "+string(x.Store)+", Twilio slow", 1, x.Meanwhile)
	}
	for _, x := range r.Pairs {
		line(fmt.Sprintf("%s, %s, %s", x.Name, x.Store, x.Plain), x.Callers, x.PlainSample)
		line(fmt.Sprintf("%s, %s, %s", x.Name, x.Store, x.Other), x.Callers, x.OtherSample)
	}
}

func (s sample) latency() string {
	return fmt.Sprintf("%.2f/%.2f/%.2f", s.P50/1e3, s.P99/1e3, s.P999/1e3)
}

// some leaves a cell empty where there is nothing.
func some(format string, n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}
