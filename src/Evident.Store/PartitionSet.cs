using System.Collections.Concurrent;
using System.Globalization;
using Evident.Ingest;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>One file of <c>traces/</c> and the readers that are open on it.</summary>
internal sealed class PartitionFile(string path) : IDisposable
{
    private const int KeptReaders = 4;
    private readonly ConcurrentBag<PartitionReader> idle = [];
    private volatile string? problem;

    public string Name { get; } = System.IO.Path.GetFileNameWithoutExtension(path);

    public string Path { get; } = path;

    /// <summary>Why the file does not serve; null when it does.</summary>
    public string? Problem
    {
        get => problem;
        set => problem = value;
    }

    /// <summary>
    /// Runs a query on a reader of this file. A file that turns out to be damaged is listed as unavailable from then on, and the query goes on without
    /// it: one bad day must not hide the others.
    /// </summary>
    /// <returns>False when the file does not serve.</returns>
    public bool TryRead(Action<PartitionReader> query, Action<string, Exception?> log)
    {
        if (Problem is not null)
        {
            return false;
        }

        PartitionReader? reader = null;
        try
        {
            reader = idle.TryTake(out var kept) ? kept : new PartitionReader(Path);
            query(reader);
            if (idle.Count < KeptReaders && !reader.Empty)
            {
                idle.Add(reader);
            }
            else
            {
                reader.Dispose();
            }

            return true;
        }
        catch (Exception damage) when (IsDamage(damage))
        {
            reader?.Dispose();
            Problem = damage.Message;
            log($"partition {Name} cannot be read and is left out: {damage.Message}", damage);
            return false;
        }
        catch
        {
            reader?.Dispose();
            throw;
        }
    }

    public static bool IsDamage(Exception exception) => exception is InvalidDataException or SpanFormatException or StoreException or FileNotFoundException
        || exception is SqliteException { SqliteErrorCode: 11 or 26 or 14 or 10 or 1 }; // CORRUPT, NOTADB, CANTOPEN, IOERR, ERROR (no such table)

    public void Dispose()
    {
        while (idle.TryTake(out var reader))
        {
            reader.Dispose();
        }
    }
}

/// <summary>The partitions of the store, oldest first. The list is replaced as a whole, so readers need no lock.</summary>
internal sealed class PartitionSet : IDisposable
{
    private volatile PartitionFile[] files;

    public PartitionSet(string directory)
    {
        Directory = directory;
        files = [.. System.IO.Directory.EnumerateFiles(directory, "????-??-??.db").Where(f => IsDay(Path.GetFileNameWithoutExtension(f)))
            .Order(StringComparer.Ordinal).Select(f => new PartitionFile(f))];
    }

    public string Directory { get; }

    public IReadOnlyList<PartitionFile> Files => files;

    public string PathOf(string day) => Path.Combine(Directory, day + ".db");

    public static string DayOf(long unixMillis) => DateTimeOffset.FromUnixTimeMilliseconds(unixMillis).UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    /// <summary>The file of a day, added when it is new.</summary>
    public PartitionFile Include(string day)
    {
        var known = Array.Find(files, f => f.Name == day);
        if (known is null)
        {
            known = new PartitionFile(PathOf(day));
            files = [.. files.Append(known).OrderBy(f => f.Name, StringComparer.Ordinal)];
        }

        return known;
    }

    public void Dispose()
    {
        foreach (var file in files)
        {
            file.Dispose();
        }
    }

    public static bool IsDay(string name) => DateOnly.TryParseExact(name, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _);
}
