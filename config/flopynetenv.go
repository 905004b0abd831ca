package config

import (
	"fmt"
	"strings"
)

// FlopynetOverrides returns the settings that FLOPY-NET's deployments give in variables of their own, as far
// as they say who may do what. getenv is os.Getenv.
func FlopynetOverrides(getenv func(string) string) (Overrides, error) {
	var o Overrides
	auth, err := boolVariable(getenv, "API_AUTH_ENABLED")
	if err != nil {
		return o, err
	}
	user, password := getenv("API_USERNAME"), Secret(getenv("API_PASSWORD"))
	switch {
	case auth != nil && *auth && password == "":
		return o, fmt.Errorf("API_AUTH_ENABLED is %s, and API_PASSWORD is empty; give a password, or keys instead of both", getenv("API_AUTH_ENABLED"))
	case auth != nil && !*auth:
	case password != "": // also when nothing says that it is to be used: a password that isn't asked for helps nobody
		if o.Password = &password; user != "" {
			o.Username = &user
		}
	}
	cors, err := boolVariable(getenv, "ENABLE_CORS")
	if err != nil {
		return o, err
	}
	origins := splitList(getenv("API_ALLOWED_ORIGINS"))
	switch {
	case cors != nil && !*cors:
		o.AllowedOrigins = []string{}
	case cors != nil && len(origins) == 0:
		o.AllowedOrigins = []string{AnyOrigin}
	case len(origins) > 0:
		o.AllowedOrigins = origins
	}
	return o, nil
}

// boolVariable returns nil for one that is not set or empty.
func boolVariable(getenv func(string) string, name string) (*bool, error) {
	var value bool
	switch text := getenv(name); strings.ToLower(text) {
	case "":
		return nil, nil
	case "true", "1", "yes", "on":
		value = true
	case "false", "0", "no", "off":
	default:
		return nil, fmt.Errorf("the variable %s is %q; valid are true and false", name, text)
	}
	return &value, nil
}

func splitList(text string) []string {
	var elements []string
	for element := range strings.SplitSeq(text, ",") {
		if element = strings.TrimSpace(element); element != "" {
			elements = append(elements, strings.TrimSuffix(element, "/"))
		}
	}
	return elements
}
