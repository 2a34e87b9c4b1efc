// Package config chooses and opens a repository.Store by the environment.
//
// Load reads the variables of the table below, from the process's environment and from an optional file
// .env in the working directory; a variable that is set in both has the value of the environment. An
// empty variable counts as not set. Open opens what a Config names.
//
//	MCP_OAUTH_STORAGE_BACKEND                    memory, the default, sqlite, postgres or mysql
//	MCP_OAUTH_SQLITE_PATH                        default: oauth.db in the base directory
//	MCP_BASE_DIR                                 the base directory; default: oauthstore in the user's data directory
//	MCP_OAUTH_SQLITE_SYNCHRONOUS                 FULL, the default, or NORMAL
//	MCP_OAUTH_DATABASE_URL                       for postgres and mysql
//	MCP_OAUTH_AUTHORIZATION_CODE_EXPIRE_MINUTES  1 to 60, default 10
//	MCP_OAUTH_ACCESS_TOKEN_EXPIRE_MINUTES        1 to 1440, default 60
//	MCP_OAUTH_REFRESH_TOKEN_EXPIRE_DAYS          1 to 365, default 30
//	MCP_OAUTH_REFRESH_GRACE                      default 2m, up to 24h; 0 is strict
//	MCP_OAUTH_CLEANUP_INTERVAL                   default 5m, from 1s; 0 is off
//
// The user's data directory is $XDG_DATA_HOME or ~/.local/share, on macOS ~/Library/Application Support,
// on Windows %LocalAppData%. A path may begin with ~/, the user's home directory.
package config
