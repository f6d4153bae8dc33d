using Evident.Platform;

namespace Evident.Commands;

/// <summary>Files that a command is given.</summary>
internal static class InputFile
{
    /// <summary>The bytes of a regular file.</summary>
    /// <exception cref="RefusedException">It cannot be read, or is longer than <paramref name="most"/> bytes.</exception>
    public static byte[] Read(string path, int most)
    {
        try
        {
            using DurableFile file = DurableFile.OpenRead(path);
            byte[] buffer = new byte[most + 1];
            int read = file.ReadAt(0, buffer);
            return read <= most ? buffer[..read] : throw new RefusedException($"'{path}' is longer than {most} bytes, which is more than such a file can be.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedException($"'{path}' cannot be read: {e.Message}");
        }
    }
}
