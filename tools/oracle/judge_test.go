package oracle

import (
	"strings"
	"testing"
)

type row struct {
	name, script string
	want         Verdict
}

func runRows(t *testing.T, digits bool, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(strings.ReplaceAll(r.name, " ", "_"), func(t *testing.T) {
			s := newScript(t, digits)
			v := s.run(r.script)
			if v != r.want {
				t.Errorf("%q: %v, want %v", r.script, v, r.want)
			}
			if n := min(1, int(r.want)); len(s.breach) != n {
				t.Errorf("%q: %d breaches reported, want %d: %v", r.script, len(s.breach), n, s.breach)
			}
		})
	}
}

func TestValues(t *testing.T) {
	runRows(t, false, []row{
		{"latest", "set! a; get! a", Fine},
		{"of the latest two", "set! a; set! b; get! b", Fine},
		{"older", "set! a; set! b; get! a", Stale},
		{"forgotten", "set! a; set! b; set! c; get! a", Stale},
		{"overlapping the get", "set! a; get g; set! b; got g b", Fine},
		{"before the one that overlaps the get", "set! a; get g; set! b; got g a", Fine},
		{"set under way", "set! a; set b; get! b", Fine},
		{"before a set under way", "set! a; set b; get! a", Fine},
		{"after a set under way was seen", "set! a; set b; get! b; get! a", Stale},
		{"seen in a get that overlaps", "set! a; set b; get g; get h; got g b; got h a", Fine},
		{"older than one that began and was seen in a get", "get g; set! a; set b; got g b; get! a", Stale},
		{"a slow set after it was seen", "set a; get! a; set! b; get! a", Stale},
		{"a slow set after it was seen, answered late", "set a; get! a; set! b; ok a; get! a", Stale},
		{"both orders of two sets, first", "set a; set b; ok a; ok b; get! a", Fine},
		{"both orders of two sets, second", "set a; set b; ok a; ok b; get! b", Fine},
		{"not one and then the other", "set a; set b; ok a; ok b; get! a; get! b", Stale},
		{"nor in a get that overlaps a third", "set a; set b; ok a; ok b; get! a; get g; get! a; got g b", Stale},
		{"nor after a third was settled", "set a; set b; ok a; ok b; set! c; get! b", Stale},
		{"a slow set wins", "set a; set! b; ok a; get! a", Fine},
		{"a slow set loses", "set a; set! b; ok a; get! b", Fine},
		{"older than a slow set's rival", "set! z; set a; set! b; get! z", Stale},
		{"deleted", "set! a; delete! d; get! a", Resurrected},
		{"delete under way", "set! a; delete d; get! a", Fine},
		{"set after the delete", "set! a; delete! d; set! b; get! b", Fine},
		{"set before delete and set", "set! a; delete! d; set! b; get! a", Stale},
		{"delete that found nothing", "set! a; delete d; absent d; get! a", Resurrected},
		{"delete overlapping the set", "set a; delete! d; ok a; get! a", Fine},
		{"refused", "set! a; set b; refused b; get! a", Resurrected},
		{"refused but there", "set! a; set b; refused b; get! b", Resurrected},
		{"replace refused", "set! a; replace b; refused b; get! a", Fine},
		{"replaced", "set! a; replace! b; get! a", Stale},
		{"add not done", "set! a; add b; no b; get! b", Stale},
		{"add done", "delete! d; add! b; get! b", Fine},
		{"cas of the latest", "set! a; get! a; cas! b a; get! b", Fine},
		{"cas of an older", "set! a; get! a; set! b; cas! c a", Stale},
		{"cas of a deleted", "set! a; get! a; delete! d; cas! c a", Resurrected},
		{"cas while a set is under way", "set! a; get! a; set b; cas! c a", Fine},
		{"cas not done", "set! a; get! a; set! b; cas c a; no c; get! b", Fine},
		{"flushed", "set! a; flush f; ok f; get! a", Resurrected},
		{"flush under way", "set! a; flush f; get! a", Fine},
		{"flush that may not have happened", "set! a; flush f; lost f; get! a", Fine},
		{"flush overlapping the set", "set a; flush f; ok f; ok a; get! a", Fine},
		{"set after the flush", "set! a; flush f; ok f; set! b; get! b", Fine},
		{"delayed flush, before", "set! a; flush f 10; ok f; get! a", Fine},
		{"delayed flush, after", "set! a; flush f 10; ok f; sleep 15; get! a", Resurrected},
		{"delayed flush, set shortly before", "flush f 10; ok f; sleep 7; set! a; sleep 10; get! a", Fine},
		{"delayed flush called off", "set! a; flush f 10; ok f; flush g 90; ok g; sleep 15; get! a", Fine},
		{"delayed flush called off, twice", "set! a; flush f 10; ok f; flush g 90; ok g; sleep 15; get! a; get! a", Fine},
		{"delayed flush called off by now", "set! z; flush f 10; ok f; flush g; ok g; set! a; sleep 15; get! a", Fine},
		{"not this key's", "set! a; get g; text g abcdefghijklmnopqrstuvwxyz", Wrong},
		{"empty", "set! a; get g; text g", Wrong},
		{"twice", "set! a; get! a a", Wrong},
	})
}

func TestParts(t *testing.T) {
	runRows(t, false, []row{
		{"appended", "set! a; append! b; get! a b", Fine},
		{"prepended", "set! a; prepend! b; get! b a", Fine},
		{"both", "set! a; prepend! b; append! c; prepend! d; append! e; get! d b a c e", Fine},
		{"append lost", "set! a; append! b; get! a", Stale},
		{"second append lost", "set! a; append! b; append! c; get! a b", Stale},
		{"first append lost", "set! a; append! b; append! c; get! a c", Stale},
		{"append under way", "set! a; append b; get! a", Fine},
		{"append under way, done", "set! a; append b; get! a b", Fine},
		{"append taken back", "set! a; append b; get! a b; get! a", Stale},
		{"append seen while the set is", "set a; get g; append b; got g a b; get! a", Stale},
		{"append not done", "set! a; append b; no b; get! a b", Stale},
		{"append lost beside one under way", "set! a; append b; append! c; get! a b", Stale},
		{"one append lost for another", "set! a; append b; append c; ok b; ok c; get! a c", Stale},
		{"overlapping appends", "set! a; append b; append c; ok b; ok c; get! a c b", Fine},
		{"not the one and then the other order", "set! a; append b; append c; ok b; ok c; get! a c b; get! a b c", Stale},
		{"appends in the wrong order", "set! a; append! b; append! c; get! a c b", Wrong},
		{"prepends in the wrong order", "set! a; prepend! b; prepend! c; get! b c a", Wrong},
		{"appended on the wrong side", "set! a; append! b; get! b a", Wrong},
		{"append of an older base", "set! a; append! b; set! c; append! d; get! a b d", Stale},
		{"append from before the set", "set! a; append! b; set! c; get! c b", Wrong},
		{"append before an overlapping set", "set! a; append b; set! c; ok b; get! c", Fine},
		{"append after an overlapping set", "set! a; append b; set! c; ok b; get! c b", Fine},
		{"appended to what was deleted", "set! a; delete! d; append! b; get! a b", Stale},
		{"no base", "set! a; append! b; get! b", Wrong},
	})
}

func TestNumbers(t *testing.T) {
	runRows(t, true, []row{
		{"fresh", "set! a; get! a", Fine},
		{"incremented", "set! a; incr i; number i a 1; get! a +1", Fine},
		{"increment lost", "set! a; incr i; number i a 1; get! a", Stale},
		{"increment lost after two", "set! a; incr i; number i a 1; incr j; number j a 2; get! a +1", Stale},
		{"under way", "set! a; incr i; get! a", Fine},
		{"under way, done", "set! a; incr i; get! a +1", Fine},
		{"under way, taken back", "set! a; incr i; get! a +1; get! a", Stale},
		{"increment lost while the set is under way", "set a; incr i; number i a 1; get! a", Stale},
		{"more than asked for", "set! a; incr i; number i a 1; get! a +2", Wrong},
		{"more than asked for since its set", "set! a; incr i; number i a 1; set! b; get! b +1", Wrong},
		{"not incremented", "set! a; incr i; number i a 0", Wrong},
		{"increment on a lost one", "set! a; incr i; number i a 1; incr j; number j a 1", Stale},
		{"two answers alike", "set! a; incr i; incr j; number i a 1; number j a 1", Wrong},
		{"two answers", "set! a; incr i; incr j; number i a 2; number j a 1; get! a +2", Fine},
		{"of an older base", "set! a; set! b; incr i; number i a 1", Stale},
		{"of an overlapping set", "set! a; incr i; set! b; number i b 1; get! b +1", Fine},
		{"before an overlapping set", "set! a; incr i; set! b; number i a 1; get! b", Fine},
		{"gone with its base", "set! a; incr i; number i a 1; set! b; get! a +1", Stale},
		{"of what was deleted", "set! a; delete! d; incr i; number i a 1", Resurrected},
		{"not a number", "set! a; get g; text g 12x", Wrong},
		{"a wrong number", "set! a; get g; text g 123456789", Wrong},
		{"kept by a kill", "set! a; incr i; number i a 1; kill; get! a +1", Fine},
		{"lost by a kill", "set! a; incr i; number i a 1; kill; get! a", Stale},
		{"lost by a kill after it was seen", "set! a; incr i; number i a 1; get! a +1; get! a +1; kill; get! a", Stale},
		{"under way at a kill", "set! a; incr i; lost i; kill; get! a", Fine},
		{"under way at a kill, done", "set! a; incr i; lost i; kill; get! a +1", Fine},
		{"under way at a kill, seen, undone", "set! a; incr i; get! a +1; lost i; kill; get! a", Fine},
		{"incremented again after the kill", "set! a; incr i; number i a 1; kill; incr j; number j a 1", Stale},
	})
}

func TestExpiry(t *testing.T) {
	runRows(t, false, []row{
		{"in time", "set! a ttl=10; sleep 5; get! a", Fine},
		{"within the slack", "set! a ttl=10; sleep 10; get! a", Fine},
		{"over", "set! a ttl=10; sleep 20; get! a", Expired},
		{"over at a restart", "set! a ttl=10; kill; sleep 20; get! a", Expired},
		{"touched to live", "set! a ttl=10; touch! t ttl=100; sleep 20; get! a", Fine},
		{"touched to live for ever", "set! a ttl=10; touch! t; sleep 20; get! a", Fine},
		{"touched to die", "set! a; touch! t ttl=10; sleep 20; get! a", Expired},
		{"touched to die, then to live", "set! a; touch! t ttl=10; touch! u ttl=100; sleep 20; get! a", Fine},
		{"touched to die, forgotten by a kill", "set! a; touch! t ttl=10; kill; sleep 20; get! a", Expired},
		{"touch under way", "set! a; touch t ttl=10; sleep 20; get! a", Fine},
		{"touch that may not have happened", "set! a; touch t ttl=10; lost t; kill; sleep 20; get! a", Fine},
		{"touch that may have happened", "set! a ttl=10; touch t ttl=100; lost t; kill; sleep 20; get! a", Fine},
		{"touch that found nothing", "set! a ttl=10; touch t; absent t; sleep 20; get! a", Expired},
		{"touch before the set", "touch! t ttl=100; set! a ttl=10; sleep 20; get! a", Expired},
		{"touch over, set to live", "touch! t ttl=10; set! a; sleep 20; get! a", Fine},
		{"overlapping touches", "set! a; touch t ttl=10; touch u; ok t; ok u; sleep 20; get! a", Fine},
		{"got and touched", "set! a; gat g ttl=10; got g a; sleep 20; get! a", Expired},
		{"got and touched when over", "set! a ttl=10; sleep 20; gat g; got g a", Expired},
		{"appended", "set! a ttl=10; append! b; sleep 20; get! a b", Expired},
		{"set under way", "set a ttl=10; sleep 20; get! a", Fine},
		{"under way at a kill", "set a ttl=10; lost a; kill; sleep 20; get! a", Expired},
	})
}

func TestRestarts(t *testing.T) {
	runRows(t, false, []row{
		{"back", "set! a; kill; get! a", Fine},
		{"older than the kill's", "set! a; set! b; kill; get! a", Stale},
		{"latest", "set! a; set! b; kill; get! b", Fine},
		{"missed", "set! a; kill; get g; absent g", Fine},
		{"under way, not done", "set! a; set b; lost b; kill; get! a", Fine},
		{"under way, done", "set! a; set b; lost b; kill; get! b", Fine},
		{"done, then not", "set! a; set b; lost b; kill; get! b; get! a", Stale},
		{"not done, then done", "set! a; set b; lost b; kill; get! a; get! b", Stale},
		{"done, then not, over a kill", "set! a; set b; lost b; kill; get! b; kill; get! a", Fine},
		{"seen, never answered, undone", "set! a; set b; get! b; lost b; kill; get! a", Fine},
		{"seen and answered", "set! a; set b; get! b; ok b; kill; get! a", Stale},
		{"of the run before, under way", "set! a; set b; lost b; kill; set! c; get! b", Stale},
		{"under way, lost, then set", "set b; lost b; kill; set! c; get! c", Fine},
		{"may still happen without a kill", "set! a; set b; lost b; set! c; get! b", Fine},
		{"deleted", "set! a; delete! d; kill; get! a", Resurrected},
		{"delete under way", "set! a; delete d; lost d; kill; get! a", Fine},
		{"deleted, nothing there", "set! a; kill; delete d; absent d; kill; get! a", Resurrected},
		{"flushed", "set! a; flush f; ok f; kill; get! a", Resurrected},
		{"flushed two runs ago", "set! a; flush f; ok f; kill; flush g; ok g; kill; get! a", Resurrected},
		{"flush under way", "set! a; flush f; lost f; kill; get! a", Fine},
		{"delayed flush", "set! a; flush f 10; ok f; kill; sleep 20; get! a", Resurrected},
		{"delayed flush, not yet", "set! a; flush f 10; ok f; kill; get! a", Fine},
		{"append kept", "set! a; append! b; kill; get! a b", Fine},
		{"append lost", "set! a; append! b; kill; get! a", Stale},
		{"cas of the run before", "set! a; get! a; kill; cas! b a", Fine},
		{"cas reused", "set! a; get! a; kill; set! b; cas! c a", Stale},
		{"overwritten after the kill", "set! a; kill; set! b; kill; get! a", Stale},
		{"graceful, older", "set! a; set! b; stop; get! a", Stale},
	})
}

func TestLosses(t *testing.T) {
	runRows(t, false, []row{
		{"allowed", "set! a; get g; absent g", Fine},
		{"lost", "forbid; set! a; get g; absent g", Lost},
		{"stored before it was forbidden", "set! a; forbid; get g; absent g", Fine},
		{"seen since", "set! a; forbid; get! a; get g; absent g", Lost},
		{"seen while it was missed", "set! a; forbid; get m; get! a; absent m", Fine},
		{"never stored", "forbid; get g; absent g", Fine},
		{"set under way", "forbid; set a; get g; absent g", Fine},
		{"set overlapping", "forbid; get g; set! a; absent g", Fine},
		{"deleted", "forbid; set! a; delete! d; get g; absent g", Fine},
		{"deleted and set", "forbid; set! a; delete! d; set! b; get g; absent g", Lost},
		{"delete under way", "forbid; set! a; delete d; get g; absent g", Fine},
		{"delete under way since before", "forbid; delete d; set! a; get g; absent g", Fine},
		{"refused", "forbid; set! a; set b; refused b; get g; absent g", Fine},
		{"set under way may be refused", "forbid; set! a; set b; get g; absent g", Fine},
		{"flushed", "forbid; set! a; flush f; get g; absent g", Fine},
		{"flushed and set", "forbid; flush f; ok f; set! a; get g; absent g", Lost},
		{"delayed flush", "forbid; set! a; flush f 10; ok f; sleep 8; get g; absent g", Fine},
		{"delayed flush, long before", "forbid; set! a; flush f 10; ok f; get g; absent g", Lost},
		{"expired", "forbid; set! a ttl=10; sleep 9; get g; absent g", Fine},
		{"about to expire", "forbid; set! a ttl=10; sleep 5; get g; absent g", Fine},
		{"not yet expired", "forbid; set! a ttl=10; sleep 3; get g; absent g", Lost},
		{"touched to live", "forbid; set! a ttl=10; touch! t; sleep 20; get g; absent g", Fine},
		{"graceful stop", "forbid; set! a; stop; get g; absent g", Lost},
		{"killed", "forbid; set! a; kill; get g; absent g", Fine},
		{"killed and seen", "forbid; set! a; kill; get! a; get g; absent g", Lost},
		{"killed and seen, stopped", "forbid; set! a; kill; get! a; stop; get g; absent g", Lost},
		{"touch found nothing", "forbid; set! a; touch t; absent t", Lost},
		{"delete found nothing", "forbid; set! a; delete d; absent d", Lost},
		{"added", "forbid; set! a; add! b", Lost},
		{"added to nothing", "forbid; set! a; delete! d; add! b", Fine},
		{"append found nothing", "forbid; set! a; append b; absent b", Lost},
		{"flush of two runs ago", "forbid; set! a; flush f; lost f; stop; stop; get g; absent g", Fine},
	})
}

// TestLossReportedOnce: what is lost stays so, and is told once.
func TestLossReportedOnce(t *testing.T) {
	s := newScript(t, false)
	s.run("forbid; set! a; get g; absent g; get h; absent h; stop; get i; absent i")
	if n := s.o.Counts().Lost(); n != 1 {
		t.Errorf("%d losses, want 1", n)
	}
	if v := s.run("set! b; get j; absent j"); v != Lost {
		t.Errorf("a second loss: %v", v)
	}
}
