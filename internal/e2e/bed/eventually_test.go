package bed

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// Where time runs out in the middle of a question, what was answered before is said.
func TestEventuallySaysTheLastAnswer(t *testing.T) {
	answer := errors.New("the Secret has no key")
	for name, c := range map[string]struct {
		answers int // before one does not come
		want    []string
		not     string
	}{
		"an answer, then none": {1, []string{"not within 250ms", "the Secret has no key", "context deadline exceeded"}, ""},
		"none at all":          {0, []string{"not within 250ms", "context deadline exceeded"}, "the last question"},
		"an answer each time":  {1000, []string{"not within 250ms", "the Secret has no key"}, "the last question"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Bed{supervisor: supervise.New(t.TempDir())}
			asked := 0
			err := b.eventually(t.Context(), 250*time.Millisecond, func(ctx context.Context) error {
				if asked++; asked <= c.answers {
					return answer
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if err == nil {
				t.Fatal("there is no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if c.not != "" && strings.Contains(err.Error(), c.not) {
				t.Errorf("got %q, which has %q", err, c.not)
			}
		})
	}
}
