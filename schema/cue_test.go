package schema

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

const cueProviders = `  providers: {vault: {audiences: [vault], vault: {server: "https://vault.example.com", auth: {kubernetes: {}}}}}
  tenantPolicy: {labels: [cost-centre]}
`

// besidePlatform is a Platform in the folder infra, with CUE beside it and more sources.
func besidePlatform(cueText string, more ...Source) []Source {
	return append([]Source{
		{File: "infra/platform.yaml", Data: []byte(minimalPlatform(cueProviders))},
		{File: "infra/rules.cue", Data: []byte(cueText)},
	}, more...)
}

// webTenant is a Tenant whose one namespace has the labels given.
func webTenant(labels string) Source {
	return Source{File: "tenants/web.yaml", Data: []byte(tenantText("  namespaces: {web: {labels: " + labels + "}}\n"))}
}

const costCentre = `package infra

rules: "cost-centre": tenant: spec: namespaces: [string]: labels: "cost-centre"!: =~"^[0-9]{4}$" //error: four digits, please
`

// TestPlatformRule: what a rule refuses is said at the place in the tenant's file, and where the rule asks for it.
func TestPlatformRule(t *testing.T) {
	for name, test := range map[string]struct {
		sources []Source
		want    string
	}{
		"kept":    {besidePlatform(costCentre, webTenant(`{cost-centre: "4711"}`)), ""},
		"value":   {besidePlatform(costCentre, webTenant(`{cost-centre: "47a"}`)), "tenants/web.yaml:5:44: spec.namespaces.web.labels.cost-centre: rule \"cost-centre\": four digits, please [platform-rule]\n  because: asked for at infra/rules.cue:3:83\n1 problem\n"},
		"missing": {besidePlatform(costCentre, webTenant(`{}`)), "tenants/web.yaml:5:30: spec.namespaces.web.labels.cost-centre: rule \"cost-centre\": four digits, please [platform-rule]\n  because: asked for at infra/rules.cue:3:67\n1 problem\n"},
		"in a TenantSet": {
			[]Source{
				{File: "set.yaml", Data: []byte("apiVersion: " + APIVersion + "\nkind: TenantSet\nmetadata: {name: all}\nspec:\n  tenants: {web: {namespaces: {web: {labels: {}}}}}\n" +
					"  platform: {name: eu-1, externalSecrets: {version: 2.9.0}, enforcement: enforce, providers: {}}\n")},
				{File: "rules.cue", Data: []byte(costCentre)},
			},
			"set.yaml:5:46: spec.tenants.web.namespaces.web.labels.cost-centre: rule \"cost-centre\": four digits, please [platform-rule]\n  because: asked for at rules.cue:3:67\n1 problem\n",
		},
		"a comment above, and its own words without one": {
			besidePlatform("package infra\n\nrules: \"few\": tenant: spec: {\n\tnamespaces: _\n\t//error: none at all\n\t_n: {\n\t\ta: len(namespaces) & <1\n\t}\n\t_m: len(namespaces) & >1\n}\n", webTenant("{}")),
			"tenants/web.yaml:5:3: spec: rule \"few\" refuses this: invalid value 1 (out of bound >1) [platform-rule]\n  because: asked for at infra/rules.cue:9:24\n" +
				"tenants/web.yaml:5:3: spec: rule \"few\": none at all [platform-rule]\n  because: asked for at infra/rules.cue:7:24\n2 problems\n",
		},
		"one hides nothing of another": {
			besidePlatform(costCentre, webTenant(`{cost-centre: "1"}, quota: {}}, web-b: {labels: {}`)),
			"tenants/web.yaml:5:44: spec.namespaces.web.labels.cost-centre: rule \"cost-centre\": four digits, please [platform-rule]\n  because: asked for at infra/rules.cue:3:83\n" +
				"tenants/web.yaml:5:78: spec.namespaces.web-b.labels.cost-centre: rule \"cost-centre\": four digits, please [platform-rule]\n  because: asked for at infra/rules.cue:3:67\n2 problems\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems, _ := Decode(test.sources)
			problems = slices.DeleteFunc(problems, func(p problem.Problem) bool {
				return p.Rule == problem.SettingOutside || p.Rule == problem.LabelOutside
			})
			if diff := cmp.Diff(test.want, written(problems)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRulesOfTheirOwnPlatforms: a folder's rules hold for the tenants on its Platforms, and for no others.
func TestRulesOfTheirOwnPlatforms(t *testing.T) {
	platform := func(name string) []byte {
		return []byte(strings.Replace(minimalPlatform(cueProviders), "eu-1", name, 1))
	}
	tenant := func(name, cluster string) Source {
		text := strings.Replace(tenantText("  clusters: ["+cluster+"]\n  namespaces: {"+name+": {}}\n"), "{name: web}", "{name: "+name+"}", 1)
		return Source{File: "tenants/" + name + ".yaml", Data: []byte(text)}
	}
	_, problems, _ := Decode([]Source{
		{File: "eu/platform.yaml", Data: platform("eu-1")},
		{File: "eu/rules.cue", Data: []byte(costCentre)},
		{File: "us/platform.yaml", Data: platform("us-1")},
		tenant("web", "eu-1"), tenant("shop", "us-1"), tenant("erp", "eu-1, us-1"),
	})
	var files []string
	for _, p := range problems {
		files = append(files, p.Position.File+" "+string(p.Rule))
	}
	if diff := cmp.Diff([]string{"tenants/erp.yaml platform-rule", "tenants/web.yaml platform-rule"}, files); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, written(problems))
	}
}

// TestRuleSaysNoSecret: a rule about a Platform may look at headers, which may be tokens.
func TestRuleSaysNoSecret(t *testing.T) {
	const secret = "s.4d2f6aTOKEN"
	for _, rule := range []string{
		`providers: vault: vault: headers: [string]: "allowed"`,
		`providers: vault: vault: headers?: _|_`,
		`providers: vault: vault: "none"`,
		`providers: [string]: vault: {headers: _, _all: strings.Join([for _, v in headers {v}], ",") & "x"}`,
	} {
		platform := strings.Replace(minimalPlatform(cueProviders), "auth:", "headers: {X-Vault-Token: "+secret+"}, auth:", 1)
		imported := "import \"strings\"\n\n"
		if !strings.Contains(rule, "strings.") {
			imported = ""
		}
		_, problems, _ := Decode([]Source{
			{File: "platform.yaml", Data: []byte(platform)},
			{File: "rules.cue", Data: []byte("package p\n\n" + imported + "rules: \"x\": platform: spec: " + rule + "\n")},
		})
		if len(problems) == 0 || strings.Contains(written(problems), secret) {
			t.Errorf("%s: %s", rule, written(problems))
		}
	}
}

// slowRule takes more than the bounds of its test, and ends soon after: an evaluation cannot be stopped.
const slowRule = `package infra

import "list"

rules: "quick": tenant: spec: namespaces: _
rules: "slow": tenant: {
	spec: _
	_n: [for i in list.Range(0, 150, 1) for j in list.Range(0, 150, 1) {i * j}]
}
`

// TestCUETooLong: what does not end is left alone, in bounded time, and named.
func TestCUETooLong(t *testing.T) {
	for name, test := range map[string]struct {
		text, place, message string
		bounds               cueBounds
	}{
		"a rule":        {slowRule, "infra/rules.cue:6:8", `rule "slow", on Tenant "web": the evaluation takes longer than 20ms`, cueBounds{20 * time.Millisecond, maxCUE.memory}},
		"memory":        {slowRule, "infra/rules.cue:6:8", `rule "slow", on Tenant "web": the evaluation takes more than 0 MiB of memory`, cueBounds{maxCUE.time, 1}},
		"the documents": {strings.ReplaceAll(slowRule, "rules:", "_rules:"), "infra/rules.cue:1:1", `the documents of package "infra": the evaluation takes longer than 20ms`, cueBounds{20 * time.Millisecond, maxCUE.memory}},
	} {
		t.Run(name, func(t *testing.T) {
			defer leftAlone(runtime.NumGoroutine())
			dec := &decoder{names: map[string]problem.Position{}, cue: test.bounds}
			_, problems, _ := dec.decode(besidePlatform(test.text, webTenant("{}")))
			if len(problems) != 1 || problems[0].Rule != problem.CUETooLong || problems[0].Position.String() != test.place {
				t.Fatalf("%s", written(problems))
			}
			// Where the evaluation was when the time was over depends on the machine.
			if want := strings.Replace(test.message, `, on Tenant "web"`, "", 1); strings.Replace(problems[0].Message, `, on Tenant "web"`, "", 1) != want {
				t.Errorf("%q, want %q", problems[0].Message, test.message)
			}
		})
	}
}

// leftAlone waits for what was left alone, so that it takes no memory of the tests to come.
func leftAlone(goroutines int) {
	for runtime.NumGoroutine() > goroutines {
		time.Sleep(lookEvery)
	}
}

// TestWithinGarbage: what others left to be collected is not held against an evaluation.
func TestWithinGarbage(t *testing.T) {
	defer leftAlone(runtime.NumGoroutine())
	debug.SetGCPercent(-1)
	defer debug.SetGCPercent(100)
	runtime.GC()
	bounds := cueBounds{maxCUE.time, memoryInUse() + 64<<20}
	for range 100 {
		garbage = make([]byte, 1<<20)
	}
	if memoryInUse() <= bounds.memory {
		t.Fatal("the garbage was collected: this test shows nothing")
	}
	if err := within(bounds, func() { time.Sleep(10 * lookEvery) }); err != nil {
		t.Error(err)
	}
	garbage = make([]byte, 100<<20)
	done := make(chan struct{})
	defer close(done)
	if err := within(bounds, func() { <-done }); err == nil || !strings.Contains(err.Error(), "MiB of memory") {
		t.Errorf("what is held is not seen: %v", err)
	}
	garbage = nil
}

var garbage []byte // not a local variable: it has to be on the heap

// TestWithinPanics: a panic of the evaluator is an error.
func TestWithinPanics(t *testing.T) {
	if err := within(maxCUE, func() { panic("oops") }); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("got %v", err)
	}
}

// TestNestedCUE: a text nested deeper than the parser's stack is refused before it is parsed.
func TestNestedCUE(t *testing.T) {
	const deep = 150_000
	for name, text := range map[string]string{
		"labels":   strings.Repeat("a:", deep) + "1",
		"lists":    "x: " + strings.Repeat("[", deep) + strings.Repeat("]", deep),
		"structs":  "x: " + strings.Repeat("{a:", deep) + strings.Repeat("}", deep),
		"unary":    "x: " + strings.Repeat("-", deep) + "1",
		"sum":      "x: 1" + strings.Repeat("+1", deep),
		"calls":    "x: " + strings.Repeat("f(", deep),
		"selector": "x: a" + strings.Repeat(".a", deep),
		"index":    "x: a" + strings.Repeat("[0]", deep),
		"strings":  "x: " + strings.Repeat(`"\(`, deep),
		"for":      "x: [" + strings.Repeat("for x in y ", deep) + "{}]",
	} {
		t.Run(name, func(t *testing.T) {
			_, problems, _ := Decode(besidePlatform("package infra\n" + text + "\n"))
			if rulesOf(problems) != string(problem.YAMLTooDeep) {
				t.Errorf("%s", written(problems))
			}
		})
	}
}

// TestOpenSchema: in the schema that documents are evaluated against, definitions of maps take anything, and those of the
// kinds say their apiVersion and kind; a text's form is as in the real one.
func TestOpenSchema(t *testing.T) {
	ctx := cuecontext.New()
	closed, open := compileSchema(t), ctx.BuildFile(openSchema())
	if err := open.Validate(); err != nil {
		t.Fatal(err)
	}
	definitions, err := closed.Fields(cue.Definitions(true))
	if err != nil {
		t.Fatal(err)
	}
	for definitions.Next() {
		path := cue.MakePath(definitions.Selector())
		if definitions.Value().IncompleteKind() != cue.StructKind {
			if got, want := fmt.Sprint(open.LookupPath(path)), fmt.Sprint(definitions.Value()); got != want {
				t.Errorf("%s is %s, want %s", path, got, want)
			}
			continue
		}
		if err := open.LookupPath(path).Unify(ctx.CompileString(`{zzz: yyy: 1, spec: 3}`)).Validate(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, kind := range []string{kindPlatform, kindTenant, kindTenantSet} {
		if got, err := open.LookupPath(cue.ParsePath("#" + kind + ".kind")).String(); got != kind {
			t.Errorf("#%s.kind is %q: %v", kind, got, err)
		}
	}
}

// FuzzCUE: whatever stands in a CUE file, reading its syntax ends and points inside the file. Evaluating it may not, which
// is what the bounds are for.
func FuzzCUE(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add([]byte(seed))
	}
	f.Add([]byte(costCentre))
	f.Add([]byte(slowRule))
	f.Fuzz(func(t *testing.T, data []byte) {
		dec := &decoder{names: map[string]problem.Position{}, cue: maxCUE}
		read := dec.readCUE([]Source{{File: "infra/fuzz.cue", Data: data}})
		for _, folder := range read.platforms(map[string]bool{"infra": true}) {
			read.ruleNames(folder)
			errorComments(folder)
			placesOf(folder)
			read.load(folder, openSchema, withoutRules)
		}
		for _, p := range dec.problems {
			if complaint := misplaced(p, map[string]string{"infra/fuzz.cue": string(data)}); complaint != "" {
				t.Errorf("%s: %s\n%q", p.Line(), complaint, data)
			}
		}
	})
}
