using System.Security.Cryptography;

namespace Evident.Ledger;

/// <summary>A file of a bundle: its name with <c>/</c> between folders, its length in bytes and its SHA-256.</summary>
internal sealed record BundleFile(string Name, long Bytes, byte[] Sha256);

/// <summary>Takes files one after the other, each hashed as it comes. Not thread safe.</summary>
internal abstract class FileSink : IDisposable
{
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private string name = "";
    private long length;

    /// <summary>A whole file.</summary>
    public void Add(string file, ReadOnlySpan<byte> content)
    {
        Begin(file);
        Write(content);
        End();
    }

    public void Begin(string file)
    {
        (name, length) = (file, 0);
        Open(file);
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        hash.AppendData(bytes);
        length += bytes.Length;
        Put(bytes);
    }

    public void End() => Close(new BundleFile(name, length, hash.GetHashAndReset()));

    protected abstract void Open(string file);

    protected abstract void Put(ReadOnlySpan<byte> bytes);

    protected abstract void Close(BundleFile written);

    public virtual void Dispose() => hash.Dispose();
}
