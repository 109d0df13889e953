package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// fields is the source of the fields, for their comments.
//
//go:embed fields.go
var fields string

// Show is the effective configuration as YAML: defaults and numbers of partitions
// filled in, secrets as ***.
func (c *Config) Show() []byte {
	shown := *c
	shown.JournalPartitions, shown.Replication = c.JournalCount(), c.Replicas()
	w := writer{}
	w.section(reflect.ValueOf(shown), 0)
	return w.Bytes()
}

// Reference is lockstitch.yaml with every field, its comment and its default.
// Load reads it back as Default.
func Reference() []byte {
	w := writer{docs: comments()}
	w.comment("Config", 0)
	w.WriteString("\n")
	w.section(reflect.ValueOf(*Default()), 0)
	return w.Bytes()
}

// comments are the comments of fields.go: "Type" and "Type.Field" to lines.
func comments() map[string][]string {
	docs := map[string][]string{}
	file, err := parser.ParseFile(token.NewFileSet(), "fields.go", fields, parser.ParseComments)
	if err != nil {
		panic(err) // the file was compiled
	}
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range d.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok {
				docs[t.Name.Name] = lines(strings.TrimPrefix(d.Doc.Text(), t.Name.Name+" is "))
				fieldComments(docs, t)
			}
		}
	}
	return docs
}

func fieldComments(docs map[string][]string, t *ast.TypeSpec) {
	s, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			docs[t.Name.Name+"."+name.Name] = lines(f.Doc.Text())
		}
	}
}

func lines(text string) []string {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// writer writes a Config as YAML, with comments where it has docs.
type writer struct {
	bytes.Buffer
	docs map[string][]string
}

func (w *writer) comment(name string, indent int) {
	for _, line := range w.docs[name] {
		fmt.Fprintf(w, "%*s# %s\n", indent, "", line)
	}
}

// section writes the fields of a struct.
func (w *writer) section(v reflect.Value, indent int) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if indent == 0 && w.docs != nil && i > 0 {
			w.WriteString("\n")
		}
		w.comment(v.Type().Name()+"."+f.Name, indent)
		fmt.Fprintf(w, "%*s%s:", indent, "", f.Tag.Get("yaml"))
		w.value(v.Field(i), indent)
	}
}

func (w *writer) value(v reflect.Value, indent int) {
	switch {
	case v.Type() == reflect.TypeFor[Secret](), v.Kind() != reflect.Struct && v.Type() != reflect.TypeFor[[]Source]():
		fmt.Fprintf(w, " %s\n", scalar(v.Interface()))
	case v.Kind() == reflect.Struct:
		w.WriteString("\n")
		w.section(v, indent+2)
	default:
		w.WriteString("\n")
		docs := w.docs
		for i := range v.Len() {
			w.item(v.Index(i), indent+2, docs)
			docs = nil // the first alone is explained
		}
	}
}

// item writes one struct of a list, its first field after the dash.
func (w *writer) item(v reflect.Value, indent int, docs map[string][]string) {
	one := writer{docs: docs}
	one.section(v, indent+2)
	text := one.String()
	for strings.HasPrefix(strings.TrimLeft(text, " "), "#") {
		line, rest, _ := strings.Cut(text, "\n")
		fmt.Fprintf(w, "%s\n", line[2:])
		text = rest
	}
	fmt.Fprintf(w, "%*s- %s", indent, "", text[indent+2:])
}

// scalar is a text, number, switch, duration, secret or list of texts in YAML.
func scalar(v any) string {
	switch x := v.(type) {
	case fmt.Stringer:
		v = x.String()
	case List:
		v = []string(x)
	}
	text, err := yaml.MarshalWithOptions(v, yaml.Flow(true))
	if err != nil {
		panic(err) // these kinds can be written
	}
	return strings.TrimSpace(string(text))
}
