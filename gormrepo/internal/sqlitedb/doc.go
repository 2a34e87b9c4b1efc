// Package sqlitedb opens SQLite for the driver packages, which share everything but the driver: the
// files and their permissions, the settings of each connection, the pools, the lock between processes.
package sqlitedb
