using System.Net.Sockets;

namespace Evident.Control;

/// <summary>DATA/control.sock: how commands reach the process that owns the data directory.</summary>
internal static class ControlSocket
{
    public const string Name = "control.sock";

    /// <summary>A request may carry a note of 64 KiB in base64.</summary>
    public const int MaxRequestBytes = 96 * 1024, MaxReplyLineBytes = 256 * 1024;

    /// <summary>Raw bytes behind a request's line: a piece of an import.</summary>
    public const int MaxBodyBytes = 64 << 20;

    /// <summary>A unix socket's address holds this many bytes (sun_path, without its final NUL).</summary>
    private const int MaxPathBytes = 107;

    public static string PathIn(string dataDirectory) => Path.Combine(Path.GetFullPath(dataDirectory), Name);

    public static bool Fits(string path) => System.Text.Encoding.UTF8.GetByteCount(path) <= MaxPathBytes;

    /// <summary>Reads up to a line feed, which is dropped. Null when the other end closed or the line is longer than allowed.</summary>
    public static async Task<byte[]?> ReadLineAsync(Stream stream, int most, CancellationToken cancel)
    {
        // Byte by byte below a small buffer would lose what follows the line; lines are short and rare, so single reads are fine.
        var line = new MemoryStream();
        byte[] one = new byte[1];
        while (line.Length <= most && await stream.ReadAsync(one, cancel) == 1)
        {
            if (one[0] == (byte)'\n')
            {
                return line.ToArray();
            }

            line.WriteByte(one[0]);
        }

        return null;
    }

    public static Socket NewSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
}
