package testbed

import (
	"testing"
	"time"
)

// TestTrainingsFollowEachOther has a testbed run for an hour of its clock, as a demonstration does.
func TestTrainingsFollowEachOther(t *testing.T) {
	bed, clock := open(t, Options{Seed: 3, Rounds: 5, RoundEvery: time.Second, Rest: 10 * time.Second, Forget: true})
	seen := map[string]bool{}
	events, trainings, most := 0, 0, 0
	for range 720 {
		clock.advance(5 * time.Second)
		rounds, logged := bed.Rounds(), bed.FLEvents()
		for _, r := range rounds {
			if r.Training != rounds[0].Training {
				t.Fatalf("training %d is still there in training %d", rounds[0].Training, r.Training)
			}
			trainings = max(trainings, r.Training)
		}
		for _, e := range append(logged, bed.PolicyEvents()...) {
			if !seen[e.ID] {
				seen[e.ID] = true
				events++
			}
		}
		most = max(most, len(logged)+len(bed.PolicyEvents())+len(bed.Decisions())+len(bed.Measurements())+len(bed.Flows()))
	}
	if trainings < 150 || trainings > 240 {
		t.Errorf("%d trainings of five seconds and more in an hour, with rests of ten", trainings)
	}
	if most > 600 || events < 20*trainings {
		t.Errorf("%d things are remembered at most, of %d events in all", most, events)
	}
}

// TestARestIsForATraining: one that is begun by hand isn't given up for the one that was to follow.
func TestARestIsForATraining(t *testing.T) {
	bed, clock := open(t, Options{Seed: 3, Rounds: 5, RoundEvery: time.Second, Rest: 10 * time.Second})
	for !bed.Complete() {
		clock.advance(time.Second)
	}
	clock.advance(8 * time.Second)
	bed.FL.Train()
	clock.advance(4 * time.Second)
	if rounds := bed.Rounds(); rounds[len(rounds)-1].Training != 2 || rounds[len(rounds)-1].Number < 2 {
		t.Errorf("the last round is %+v, want one of the second training", rounds[len(rounds)-1])
	}
}

// TestAnotherStartHasOtherEvents: whoever starts one seed twice has two trainings with the same course, not one twice.
func TestAnotherStartHasOtherEvents(t *testing.T) {
	first, firstClock := open(t, Options{Seed: 3, Rounds: 5})
	second, secondClock := open(t, Options{Seed: 3, Rounds: 5, Start: noon.Add(time.Hour + 7*time.Second)})
	firstClock.advance(2 * time.Hour)
	secondClock.advance(2 * time.Hour)
	if a, b := first.Rounds(), second.Rounds(); len(a) != 5 || len(b) != 5 || a[4].Accuracy != b[4].Accuracy {
		t.Errorf("%d and %d rounds, or not the same course", len(a), len(b))
	}
	ids := map[string]bool{}
	for _, bed := range []*Testbed{first, second} {
		for _, e := range append(bed.FLEvents(), bed.PolicyEvents()...) {
			if ids[e.ID] {
				t.Fatalf("event %s is there twice", e.ID)
			}
			ids[e.ID] = true
		}
		for _, d := range bed.Decisions() {
			if ids[d.ID] {
				t.Fatalf("decision %s is there twice", d.ID)
			}
			ids[d.ID] = true
		}
	}
}
