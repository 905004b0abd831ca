// Package config holds the collector's settings: their types, defaults and limits, and how they are
// gathered. A value comes from the first of these that gives one: a command line flag, an environment
// variable that is not empty, the YAML file, the default.
//
// The three spellings of a setting follow from its key: storage.retention_days in the file is
// --storage-retention-days on the command line and COLLECTOR_STORAGE_RETENTION_DAYS in the environment.
// What is a list of mappings, as storage.retention_rules is, can be given in the file alone; but auth.keys has
// a short form, which is --api-key and COLLECTOR_API_KEYS.
//
// FLOPY-NET's collector has names of its own for many of them. Its variables stand below ours and above the file, and its JSON file
// can take the place of ours. Both are read as names and values (foreign), since an address may have its host from the one and its
// port from the other; then they are laid over the settings in one go.
package config
