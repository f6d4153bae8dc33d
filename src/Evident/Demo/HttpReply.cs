using System.Globalization;
using System.Text;

namespace Evident.Demo;

/// <summary>A whole HTTP reply whose body ends with its connection, and of its header fields what <see cref="DemoSender"/> needs.</summary>
internal sealed record HttpReply(int Status, int? RetrySeconds, byte[] Body)
{
    /// <exception cref="IOException">It is no such reply: the connection broke, or it is not whole.</exception>
    public static HttpReply Parse(ReadOnlySpan<byte> received)
    {
        int end = received.IndexOf("\r\n\r\n"u8);
        string[] lines = end < 0 ? [] : Encoding.ASCII.GetString(received[..end]).Split("\r\n");
        if (lines is not [['H', 'T', 'T', 'P', '/', '1', '.', _, ' ', .. var told], ..] || Number(told.Split(' ')[0]) is not { } status)
        {
            throw new IOException("The listener closed the connection before it had answered.");
        }

        ReadOnlySpan<byte> body = received[(end + 4)..];
        if (Field(lines, "Content-Length") is { } length && length != body.Length)
        {
            throw new IOException($"The listener closed the connection after {body.Length} of {length} bytes of its answer.");
        }

        return new HttpReply(status, Field(lines, "Retry-After"), body.ToArray());
    }

    private static int? Field(string[] lines, string name)
    {
        string? line = Array.Find(lines, l => l.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase));
        return line is null ? null : Number(line.AsSpan(name.Length + 1).Trim());
    }

    private static int? Number(ReadOnlySpan<char> text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
