package features

import (
	"os"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

func TestMain(m *testing.M) { bed.Main(m, os.Stderr) }
