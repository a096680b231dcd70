package postgres

// foresight is what can be said of a batch before its operations are run.
type foresight struct {
	named *keyset // the rows that the operations name
	fresh *keyset // those of them that may well be new
}

// foresee are the rows that the requests name themselves, and the subjects of
// verifications.
func (w *writer) foresee(batch []request) foresight {
	f := foresight{newKeyset(), newKeyset()}
	for _, r := range batch {
		if r.op == nil {
			continue
		}
		if r.op.Idem != nil {
			f.named.idems.add(r.op.Idem.Key)
			f.fresh.idems.add(r.op.Idem.Key)
		}
		for _, p := range r.op.Places {
			f.named.counters.add(p)
			f.fresh.counters.add(p)
		}
		if r.op.ID == "" {
			f.named.subjects.add(r.op.Subject)
			if len(r.op.Places) > 0 { // it will charge, hence write
				f.fresh.subjects.add(r.op.Subject)
			}
			continue
		}
		f.named.verifications.add(r.op.ID)
		if m, ok := w.memory.verifications.get(r.op.ID); ok {
			f.named.subjects.add(m.value.Subject)
		} else {
			f.named.subjectsOf.add(r.op.ID)
		}
	}
	return f
}

// guess takes of the named rows what can be guessed. The others are returned:
// they have to be locked and fetched before anything is decided. When that makes
// a trip anyway, rows that may be new are looked for in it.
func (w *writer) guess(f foresight) (r *rows, locks *keyset) {
	m := w.memory
	var n [classes]int
	count(&n, tableIdems, &m.idems, f.named.idems, f.fresh.idems)
	count(&n, tableSubjects, &m.subjects, f.named.subjects, f.fresh.subjects)
	count(&n, tableVerifications, &m.verifications, f.named.verifications, f.fresh.verifications)
	count(&n, tableCounters, &m.counters, f.named.counters, f.fresh.counters)
	r, locks = newRows(), newKeyset()
	r.memory, r.rely = m, w.odds.daring(n)
	for id := range f.named.subjectsOf {
		locks.subjectsOf.add(id)
	}
	guess(r, tableIdems, r.idems, idemsOf, f.named.idems, f.fresh.idems, locks.idems)
	guess(r, tableSubjects, r.subjects, subjectsOf, f.named.subjects, f.fresh.subjects, locks.subjects)
	guess(r, tableVerifications, r.verifications, verificationsOf, f.named.verifications, f.fresh.verifications, locks.verifications)
	guess(r, tableCounters, r.counters, countersOf, f.named.counters, f.fresh.counters, locks.counters)
	return r, locks
}

// count counts the guesses of each class that could be made.
func count[K comparable, T any](n *[classes]int, table int, remembered *memos[K, T], named, fresh set[K]) {
	for k := range named {
		m, known := remembered.get(k)
		if known && m.doubt == 0 {
			n[m.class(table)]++
		} else if _, guess := fresh[k]; guess && !known {
			n[classOf(table, guessAbsent)]++
		}
	}
}

// guess makes the guesses of the classes to rely on.
func guess[K comparable, T any](r *rows, table int, all map[K]row[T], memory func(*memory) *memos[K, T], named, fresh, locks set[K]) {
	absent := classOf(table, guessAbsent)
	for k := range named {
		if _, found := find(r, table, all, memory, k); found {
			continue
		}
		_, known := memory(r.memory).get(k)
		if _, guess := fresh[k]; guess && !known && r.rely[absent] {
			all[k] = row[T]{guessed: true, class: absent}
			continue
		}
		locks.add(k)
	}
}

// made counts the guesses by their classes.
func (r *rows) made() (n [classes]int) {
	tally(&n, r.idems)
	tally(&n, r.subjects)
	tally(&n, r.verifications)
	tally(&n, r.counters)
	return n
}

func tally[K comparable, T any](n *[classes]int, all map[K]row[T]) {
	for _, row := range all {
		if row.guessed {
			n[row.class]++
		}
	}
}
