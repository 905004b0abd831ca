package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/httpapi"
)

// shortSecret is below how many characters a secret is worth a warning: that many random letters and digits
// can't be guessed.
const shortSecret = 16

// openKeys returns the keys there are. It refuses to go on without any where other machines can reach a
// listener, unless the user has said that this is what is wanted.
func openKeys(db *engine.DB, settings config.Config, logger *slog.Logger) (*httpapi.Keyring, error) {
	reachable := strings.Join(settings.Reachable(), ", ")
	keys, err := httpapi.OpenKeys(db, httpapi.KeyOptions{
		Auth: settings.Auth, Required: reachable != "" && !settings.Insecure, Logger: logger,
	})
	if errors.Is(err, httpapi.ErrNoKey) {
		return nil, fmt.Errorf("listen is %s, which other machines can reach, and there is no key, so that anybody there could read, write and change everything; "+
			"give a key with --api-key or COLLECTOR_API_KEYS, or a password with API_USERNAME and API_PASSWORD; or listen on 127.0.0.1; "+
			"or give --insecure or COLLECTOR_INSECURE=true, if that is what you want", reachable)
	}
	if err != nil {
		return nil, err
	}
	for _, key := range settings.Auth.Keys {
		if len(key.Secret) < shortSecret {
			logger.Warn("the secret of a key is short, and may be guessed", "key", key.Name, "characters", len(key.Secret), "better", shortSecret)
		}
	}
	if password := settings.Auth.Password; password != "" && len(password) < shortSecret {
		logger.Warn("auth.password is short, and may be guessed", "characters", len(password), "better", shortSecret)
	}
	if reachable != "" && !keys.Any() {
		logger.Warn("other machines can reach this server, and anybody there can read and write everything, since there is no key", "listen", reachable)
	}
	return keys, nil
}
