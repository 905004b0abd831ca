package pipeline

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// Limits of a formula. There are no loops in one, no ranges and no texts to match with expressions, so its length
// bounds its time.
const (
	maxFormulaBytes  = 2048
	maxFormulaNodes  = 500
	formulaMemory    = 10_000 // in units of expr: elements of arrays and the like
	columnFunction   = "column"
	formulaFunctions = "abs ceil floor round min max sqrt exp log log2 log10 column"
)

// formula is a compiled formula over numbers.
type formula struct {
	program *vm.Program
	names   []string // that it uses, sorted
}

// compileFormula checks and compiles a formula. The error says what is wrong and where.
func compileFormula(text string) (*formula, error) {
	if text == "" {
		return nil, errors.New("it is empty")
	}
	if len(text) > maxFormulaBytes {
		return nil, fmt.Errorf("it has %d bytes, at most %d are allowed", len(text), maxFormulaBytes)
	}
	// The first pass finds the names, the second checks the types with all of them being numbers.
	names := &nameCollector{}
	if _, err := expr.Compile(text, append(formulaOptions(), expr.AllowUndefinedVariables(), expr.Patch(names))...); err != nil {
		return nil, formulaError(err)
	}
	if names.fault != nil {
		return nil, names.fault
	}
	env := make(map[string]any, len(names.found))
	for _, name := range names.found {
		env[name] = float64(0)
	}
	program, err := expr.Compile(text, append(formulaOptions(), expr.Env(env), expr.Patch(&nameCollector{}))...)
	if err != nil {
		return nil, formulaError(err)
	}
	if names.texts > 0 {
		return nil, errors.New("it has a text in it; a formula is about numbers, and only column(\"...\") takes a text")
	}
	switch program.Node().Type().Kind() {
	case reflect.Float64, reflect.Int, reflect.Bool, reflect.Interface: // of the last, each row tells
	default:
		return nil, fmt.Errorf("it gives a %s; a number is needed", program.Node().Type())
	}
	slices.Sort(names.found)
	return &formula{program: program, names: slices.Compact(names.found)}, nil
}

// formulaOptions are what a formula may use: arithmetic, comparisons, conditions and functions of numbers.
func formulaOptions() []expr.Option {
	options := []expr.Option{expr.DisableAllBuiltins(), expr.MaxNodes(maxFormulaNodes)}
	for _, name := range []string{"abs", "ceil", "floor", "round", "min", "max"} {
		options = append(options, expr.EnableBuiltin(name))
	}
	for name, compute := range map[string]func(float64) float64{
		"sqrt": math.Sqrt, "exp": math.Exp, "log": math.Log, "log2": math.Log2, "log10": math.Log10,
	} {
		options = append(options, expr.Function(name, func(params ...any) (any, error) {
			return compute(params[0].(float64)), nil
		}, new(func(float64) float64)))
	}
	return append(options, expr.Function(columnFunction, func(...any) (any, error) {
		return nil, errors.New("column takes the name of a column as a text")
	}, new(func(string) float64)))
}

// formulaError takes the excerpt of the formula off an error of expr, whose place it names.
func formulaError(err error) error {
	if at, ok := errors.AsType[*file.Error](err); ok {
		if strings.HasPrefix(at.Message, "unknown name") {
			return fmt.Errorf("at character %d: %s (functions: %s)", at.Column+1, at.Message, formulaFunctions)
		}
		return fmt.Errorf("at character %d: %s", at.Column+1, at.Message)
	}
	return err
}

// nameCollector finds the names in a formula, and makes plain names of those with points in them, which the
// parser takes for members (avg_system.cpu), and of column("..."). Whole numbers become floats: as integers they would
// overflow without a word, and 2 to the power of 64 written as a product would be 0.
type nameCollector struct {
	found []string
	texts int // that are no names
	fault error
}

// Visit implements ast.Visitor. Children come before their parents.
func (c *nameCollector) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.VariableDeclaratorNode:
		c.fault = errors.New("let is not available; use a transform with as")
	case *ast.IntegerNode:
		ast.Patch(node, &ast.FloatNode{Value: float64(n.Value)})
	case *ast.StringNode:
		c.texts++
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			c.fault = errors.New("$env is not available; name a column, or write column(\"...\")")
		}
		c.add(n.Value)
	case *ast.MemberNode:
		base, isName := n.Node.(*ast.IdentifierNode)
		property, isText := n.Property.(*ast.StringNode)
		if !isName || !isText {
			return
		}
		c.drop(base.Value)
		c.replace(node, base.Value+"."+property.Value)
	case *ast.CallNode:
		callee, isName := n.Callee.(*ast.IdentifierNode)
		if !isName {
			return
		}
		c.drop(callee.Value)
		if callee.Value != columnFunction || len(n.Arguments) != 1 {
			return
		}
		if text, ok := n.Arguments[0].(*ast.StringNode); ok {
			c.replace(node, text.Value)
		}
	}
}

// replace puts a name in the place of a node with one text.
func (c *nameCollector) replace(node *ast.Node, name string) {
	c.texts--
	ast.Patch(node, &ast.IdentifierNode{Value: name})
	c.add(name)
}

func (c *nameCollector) add(name string) { c.found = append(c.found, name) }

// drop takes back the last mention of a name, which was part of something else.
func (c *nameCollector) drop(name string) {
	for i := len(c.found) - 1; i >= 0; i-- {
		if c.found[i] == name {
			c.found = slices.Delete(c.found, i, i+1)
			return
		}
	}
}

// evaluator computes a formula row by row.
type evaluator struct {
	formula *formula
	machine vm.VM
	env     map[string]any
}

func (f *formula) evaluator() *evaluator {
	return &evaluator{formula: f, machine: vm.VM{MemoryBudget: formulaMemory}, env: make(map[string]any, len(f.names))}
}

// compute returns the formula's result for the inputs that were put into env. True is 1, false 0.
func (e *evaluator) compute() (float64, error) {
	result, err := e.machine.Run(e.formula.program, e.env)
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\n")
		return 0, errors.New(text)
	}
	switch value := result.(type) {
	case float64:
		return value, nil
	case int:
		return float64(value), nil
	case bool:
		if value {
			return 1, nil
		}
		return 0, nil
	}
	return 0, fmt.Errorf("it gave a %T, not a number", result)
}
