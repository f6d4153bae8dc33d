using System.IO.Compression;
using Xunit;

namespace Evident.AppTests;

/// <summary>
/// What lies compressed inside the SQLite files: every BLOB of every table, inflated where it is Brotli, zlib or gzip. A search of the
/// files' bytes alone would see nothing of it. Read with the sqlite3 module of Python, so without any code of the product.
/// </summary>
public static class StoredBlobs
{
    private const string Reader = """
        import glob, os, sqlite3, sys
        for path in sorted(glob.glob(os.path.join(sys.argv[1], '**', '*.db'), recursive=True)):
            db = sqlite3.connect('file:' + path + '?mode=ro', uri=True)
            for (table,) in db.execute("select name from sqlite_master where type = 'table'").fetchall():
                for row in db.execute('select * from "' + table + '"'):
                    for value in row:
                        if isinstance(value, bytes) and len(value) >= 8:
                            print(os.path.basename(path) + ':' + table, value.hex())
        """;

    /// <summary>Name and inflated bytes of each compressed value. Call it on a stopped store.</summary>
    public static List<(string Name, byte[] Bytes)> Inflated(string data)
    {
        var read = EvidentProcess.Run("/usr/bin/env", ["python3", "-c", Reader, data]);
        Assert.True(read.Code == 0, read.ToString());
        var inflated = new List<(string, byte[])>();
        foreach (var line in read.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = line.Split(' ');
            var bytes = Convert.FromHexString(parts[1]);
            foreach (Func<Stream, Stream> open in new Func<Stream, Stream>[] { s => new BrotliStream(s, CompressionMode.Decompress), s => new ZLibStream(s, CompressionMode.Decompress), s => new GZipStream(s, CompressionMode.Decompress) })
                if (TryInflate(bytes, open) is { Length: >= 8 } plain) inflated.Add(($"inflated {parts[0]}", plain));
        }
        return inflated;
    }

    private static byte[]? TryInflate(byte[] bytes, Func<Stream, Stream> open)
    {
        try
        {
            using var plain = new MemoryStream();
            using var stream = open(new MemoryStream(bytes));
            stream.CopyTo(plain);
            return plain.ToArray();
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or IOException)
        {
            return null; // not compressed in this way
        }
    }
}
