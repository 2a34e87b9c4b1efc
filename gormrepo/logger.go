package gormrepo

import (
	"context"
	"log/slog"
	"time"

	"gorm.io/gorm/logger"
)

// slogLogger is GORM's logger over log/slog: statements at debug level, with placeholders where the
// values were. Errors are not logged: they are returned.
type slogLogger struct{ to *slog.Logger }

var _ logger.Interface = slogLogger{}

func (l slogLogger) LogMode(logger.LogLevel) logger.Interface { return l }

func (l slogLogger) Info(ctx context.Context, msg string, _ ...any)  { l.to.DebugContext(ctx, msg) }
func (l slogLogger) Warn(ctx context.Context, msg string, _ ...any)  { l.to.DebugContext(ctx, msg) }
func (l slogLogger) Error(ctx context.Context, msg string, _ ...any) { l.to.DebugContext(ctx, msg) }

// Trace logs a statement that ran.
func (l slogLogger) Trace(ctx context.Context, begin time.Time, fc func() (string, int64), err error) {
	if !l.to.Enabled(ctx, slog.LevelDebug) {
		return
	}
	statement, rows := fc()
	l.to.LogAttrs(ctx, slog.LevelDebug, "gormrepo: statement", slog.String("sql", statement),
		slog.Int64("rows", rows), slog.Duration("took", time.Since(begin)), slog.Bool("failed", err != nil))
}

// ParamsFilter keeps the values out of the text that Trace gets.
func (l slogLogger) ParamsFilter(_ context.Context, statement string, _ ...any) (string, []any) {
	return statement, nil
}
