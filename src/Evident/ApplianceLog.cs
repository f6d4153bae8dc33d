using System.Globalization;
using Evident.Ingest;
using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Parsing;
using ILogger = Microsoft.Extensions.Logging.ILogger;

namespace Evident;

/// <summary>
/// The appliance's own log: DATA/logs (size and count of the files are bounded) and stderr. One line per message, and every message
/// passes the redactor first, exceptions included: text of senders that slips into one does not reach the disk as it was.
/// Messages before <see cref="AttachFile"/> are kept until then, because the directory is not ours before the store holds its lock.
/// </summary>
internal sealed class ApplianceLog(LogLevel least, TextWriter stderr) : ILoggerProvider
{
    private const int MaxWaiting = 256;

    private static readonly Redactor Redactor = new();

    private readonly Lock gate = new();
    private readonly List<LogEvent> waiting = [];
    private Logger? file;

    public static LogLevel Level(string name) => name switch
    {
        "debug" => LogLevel.Debug,
        "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        _ => LogLevel.Information,
    };

    /// <summary>Opens DATA/logs/evident-YYYYMMDD.log and writes what waited.</summary>
    public void AttachFile(string directory, long maxFileBytes, int maxFiles)
    {
        Logger opened = new LoggerConfiguration()
            .MinimumLevel.Verbose()
            .WriteTo.File(
                new LineFormatter(),
                Path.Combine(directory, "evident-.log"),
                rollingInterval: RollingInterval.Day,
                fileSizeLimitBytes: maxFileBytes,
                rollOnFileSizeLimit: true,
                retainedFileCountLimit: maxFiles)
            .CreateLogger();
        lock (gate)
        {
            file = opened;
            waiting.ForEach(opened.Write);
            waiting.Clear();
        }
    }

    public ILogger CreateLogger(string categoryName) => new CategoryLogger(this, categoryName);

    public void Write(LogLevel level, string category, string message, Exception? exception = null)
    {
        if (level < least || level == LogLevel.None)
        {
            return;
        }

        string text = exception is null ? message : $"{message}: {exception}";
        string line = OneLine($"[{category}] {Redactor.Redact(text)}");
        var entry = new LogEvent(DateTimeOffset.UtcNow, Severity(level), null, new MessageTemplate(line, [new TextToken(line)]), []);
        lock (gate)
        {
            LineFormatter.Format(entry, line, stderr);
            if (file is not null)
            {
                file.Write(entry);
            }
            else if (waiting.Count < MaxWaiting)
            {
                waiting.Add(entry);
            }
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            file?.Dispose();
            file = null;
        }
    }

    // A message cannot forge a second line or move a terminal's cursor.
    private static string OneLine(string text) => string.Create(text.Length, text, static (to, from) =>
    {
        for (int i = 0; i < from.Length; i++)
        {
            to[i] = char.IsControl(from[i]) ? ' ' : from[i];
        }
    });

    private static LogEventLevel Severity(LogLevel level) => level switch
    {
        LogLevel.Critical => LogEventLevel.Fatal,
        LogLevel.Error => LogEventLevel.Error,
        LogLevel.Warning => LogEventLevel.Warning,
        LogLevel.Information => LogEventLevel.Information,
        _ => LogEventLevel.Debug,
    };

    private sealed class LineFormatter : ITextFormatter
    {
        public void Format(LogEvent logEvent, TextWriter output) => Format(logEvent, logEvent.MessageTemplate.Text, output);

        public static void Format(LogEvent entry, string line, TextWriter output) => output.Write(string.Create(
            CultureInfo.InvariantCulture, $"{entry.Timestamp.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.fff'Z'} {entry.Level.ToString().ToLowerInvariant()} {line}\n"));
    }

    private sealed class CategoryLogger(ApplianceLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= log.Least && logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                log.Write(logLevel, category, formatter(state, exception), exception);
            }
        }
    }

    private LogLevel Least => least;
}
