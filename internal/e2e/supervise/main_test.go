package supervise

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// The test binary is also the runner that is killed, and the programs that it runs.
func TestMain(m *testing.M) {
	switch os.Getenv("SUPERVISE_ROLE") {
	case "runner":
		runner()
	case "program":
		time.Sleep(10 * time.Minute)
	default:
		m.Run()
	}
}

// runner starts three programs, says their process ids, and then does as it is told.
func runner() {
	folder := os.Getenv("SUPERVISE_FOLDER")
	s := New(folder)
	ended := make(chan struct{})
	OnEnd(func(error) {
		s.Stop()
		close(ended)
	})
	for i := range 3 {
		process, err := s.Start(context.Background(), sleeper(fmt.Sprintf("sleeper-%d", i)))
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stdout, process.ID)
	}
	if os.Getenv("SUPERVISE_PANIC") != "" {
		panic("as asked")
	}
	<-ended
}

// sleeper is a program that does nothing for ten minutes.
func sleeper(name string) Program {
	return Program{
		Name: name, Path: os.Args[0], Environment: []string{"SUPERVISE_ROLE=program"},
		Ready: func(context.Context) error { return nil },
	}
}
