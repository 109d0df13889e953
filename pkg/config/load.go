package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Load reads the file at path, expands it with env (os.LookupEnv), reads the
// secrets that files hold, and validates the whole. An empty path is an empty
// file. Errors name the file and, where they can, the line.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	c := Default()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		if err := parse(c, text, env); err != nil {
			return nil, located(path, err)
		}
	}
	c.resolve(filepath.Dir(path))
	if err := errors.Join(c.readSecrets(), c.Validate()); err != nil {
		if path == "" {
			return nil, err
		}
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return c, nil
}

// parse puts what the text says into c.
func parse(c *Config, text []byte, env func(string) (string, bool)) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return err
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.CommentType:
		case body != nil:
			return refuse(doc.Body, "a second document: keep one")
		default:
			body = doc.Body
		}
	}
	if body == nil {
		return nil
	}
	x := expander{env: env}
	body = x.value(body)
	if err := x.err(); err != nil {
		return err
	}
	if err := yaml.NodeToValue(body, c, yaml.Strict()); err != nil {
		return err
	}
	c.fill()
	return nil
}

// fill gives what lists hold its defaults; the rest had them before.
func (c *Config) fill() {
	for i := range c.Sources {
		if c.Sources[i].Isolation == "" {
			c.Sources[i].Isolation = ReadUncommitted
		}
	}
}

// located puts path and line before each of the joined errors. The file's text
// is not quoted: a secret may stand near the fault.
func located(path string, err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range many.Unwrap() {
			errs = append(errs, located(path, e))
		}
		return errors.Join(errs...)
	}
	at, ok := errors.AsType[yaml.Error](err)
	if !ok || at.GetToken() == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	pos := at.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s", path, pos.Line, pos.Column, message(at))
}

// message says what a fault of the file is in words of the file.
func message(err yaml.Error) string {
	switch e := err.(type) {
	case *yaml.UnknownFieldError:
		return e.Message + ": `lockstitch config show --reference` lists the fields"
	case *yaml.TypeError:
		return fmt.Sprintf("a %s stands where a %s is wanted", kind(e.SrcType), kind(e.DstType))
	case *yaml.OverflowError:
		return "the number is out of range"
	case *yaml.UnexpectedNodeTypeError:
		return fmt.Sprintf("a %s stands where a %s is wanted",
			strings.ToLower(e.Actual.YAMLName()), strings.ToLower(e.Expected.YAMLName()))
	}
	return err.GetMessage()
}

// kind is a Go type in words of YAML.
func kind(t reflect.Type) string {
	if t == nil {
		return "null"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "list"
	case reflect.Struct, reflect.Map:
		return "mapping"
	case reflect.Float32, reflect.Float64:
		return "fraction"
	}
	return "number"
}

// resolve makes paths that are read count from the file's folder.
func (c *Config) resolve(dir string) {
	for _, p := range []*string{
		&c.Plan, &c.Kafka.SASL.PasswordFile, &c.Kafka.SASL.TokenFile, &c.Redis.PasswordFile, &c.Redis.Sentinel.PasswordFile,
		&c.Kafka.TLS.CAFile, &c.Kafka.TLS.CertFile, &c.Kafka.TLS.KeyFile,
		&c.Redis.TLS.CAFile, &c.Redis.TLS.CertFile, &c.Redis.TLS.KeyFile,
	} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// readSecrets reads the secrets that files hold.
func (c *Config) readSecrets() error {
	return errors.Join(
		readSecret("kafka.sasl", &c.Kafka.SASL.Password, c.Kafka.SASL.PasswordFile),
		readSecret("redis", &c.Redis.Password, c.Redis.PasswordFile),
		readSecret("redis.sentinel", &c.Redis.Sentinel.Password, c.Redis.Sentinel.PasswordFile),
	)
}

func readSecret(where string, into *Secret, file string) error {
	if file == "" {
		return nil
	}
	if into.Reveal() != "" {
		return fmt.Errorf("%s: password and password_file are both given: keep one", where)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s.password_file: %w", where, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return fmt.Errorf("%s.password_file: %s is empty: write the password into it", where, file)
	}
	*into = NewSecret(secret)
	return nil
}
