namespace Evident.Platform;

internal enum FileCallKind { Make, Write, Truncate, SyncFile, SyncDirectory, Rename, Unlink }

/// <summary>
/// One call that changed a file or made a change durable, told after it succeeded. Test seam: from the calls of a run every state can be built that a power cut
/// may leave behind (content is durable from <see cref="FileCallKind.SyncFile"/> on, names from <see cref="FileCallKind.SyncDirectory"/> on).
/// </summary>
/// <param name="Path">Full path; the new name of a rename.</param>
/// <param name="Offset">Where bytes were written, or the new length.</param>
internal sealed record FileCall(FileCallKind Kind, string Path, long Offset = 0, byte[]? Bytes = null, string? From = null)
{
    public static event Action<FileCall>? Made;

    public static bool Watched => Made is not null;

    public static void Tell(FileCallKind kind, string path, long offset = 0, ReadOnlySpan<byte> bytes = default, string? from = null) =>
        Made?.Invoke(new FileCall(kind, System.IO.Path.GetFullPath(path), offset, bytes.ToArray(), from is null ? null : System.IO.Path.GetFullPath(from)));
}
