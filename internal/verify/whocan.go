package verify

import (
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// Answer is somebody of whom was asked, and why they may.
type Answer struct {
	Subject rbac.Subject
	Rule    problem.Rule // of a way round; "" is the right itself
	Why     []string     // step by step, each with its place; none of whoever may not
}

// WhoCan returns who may make one of the requests; with not, who of all that
// are bound to something may make none.
func WhoCan(in Input, requests []rbac.Request, not bool) []Answer {
	w := newWorld(in)
	if not {
		return w.whoCannot(requests)
	}
	var answers []Answer
	seen := map[rbac.Subject]bool{}
	for _, request := range requests {
		for _, holder := range w.auth.WhoCan(request) {
			if seen[holder.Subject] {
				continue
			}
			seen[holder.Subject] = true
			answers = append(answers, Answer{Subject: holder.Subject, Why: because(w.why(holder.Grants[0], request.Verb+" "+request.Resource))})
		}
	}
	return answers
}

func (w *world) whoCannot(requests []rbac.Request) []Answer {
	var answers []Answer
	for _, subject := range w.auth.Subjects() {
		allowed := false
		for _, request := range requests {
			if _, ok := w.auth.Allowed(subject, request); ok {
				allowed = true
				break
			}
		}
		if !allowed {
			answers = append(answers, Answer{Subject: subject})
		}
	}
	return answers
}
