package main

import (
	"testing"
	"time"
)

func TestAPlanMakesEachKindFirst(t *testing.T) {
	all := wanted("")
	p := newPlan(7, 20, all)
	seen := map[string]bool{}
	for range all {
		k, pause := p.next()
		seen[k.name] = true
		if pause < 0 || pause > time.Second {
			t.Fatalf("%s comes after %v", k.name, pause)
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d of %d kinds are in the first round", len(seen), len(all))
	}
	counts := map[string]int{}
	for range 50_000 {
		k, _ := p.next()
		counts[k.name]++
	}
	for _, k := range all {
		if n := counts[k.name]; n < 25*k.weight {
			t.Errorf("%s comes %d times of 50000, and has the weight %d", k.name, n, k.weight)
		}
	}
}

func TestTheSamePlanForTheSameSeed(t *testing.T) {
	a, b, other := newPlan(7, 20, wanted("")), newPlan(7, 20, wanted("")), newPlan(8, 20, wanted(""))
	differs := false
	for range 1000 {
		k, pause := a.next()
		l, same := b.next()
		m, _ := other.next()
		if k != l || pause != same {
			t.Fatalf("%s after %v, and %s after %v", k.name, pause, l.name, same)
		}
		differs = differs || k != m
	}
	if !differs {
		t.Error("another seed makes the same plan")
	}
}

func TestKindsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for i := range kinds {
		k := &kinds[i]
		if seen[k.name] || kindOf(k.name) != k {
			t.Errorf("%q is twice", k.name)
		}
		seen[k.name] = true
		if k.weight < 1 || k.lasts[1] < k.lasts[0] {
			t.Errorf("%q: weight %d, lasts %v", k.name, k.weight, k.lasts)
		}
		if made := k.action != nil; made != (k.layer == inService && k.name != cutAll) {
			t.Errorf("%q: has an action: %v", k.name, made)
		}
	}
	if len(wanted("kill,steal")) != 4 || len(wanted("nothing like it")) != 0 {
		t.Error("-only takes others than it says")
	}
}
