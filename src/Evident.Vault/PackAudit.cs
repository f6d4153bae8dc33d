using System.Buffers;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// Looks at packs and wraps as they lie there, without a key and without a write: whether every wrap is whole, of its file's day and in pack order, and leads to a body of its reference and length. What a
/// body holds is not looked at. Works beside a running appliance: each pack is read up to the length that it has when it is opened, wraps before bodies.
/// </summary>
public static class PackAudit
{
    private const int RecordsPerRead = 1_024;

    /// <summary>Given a whole wrap: the reference as text, its commitment, 32 bytes, and where it stands in which pack's wraps.</summary>
    public delegate void SeeWrap(string reference, ReadOnlySpan<byte> commitment, string pack, long offset);

    /// <summary>Given the pack, and what is wrong with it.</summary>
    public delegate void SeeFault(string pack, string sentence);

    /// <summary>Reads every wraps file.</summary>
    /// <param name="bodies">Also looks at the bodies that they lead to.</param>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static void Read(string vaultDirectory, bool bodies, SeeWrap see, SeeFault fault, CancellationToken cancellation)
    {
        foreach (PackName name in PackName.List(vaultDirectory, PackName.WrapsSuffix))
        {
            using DurableFile wraps = DurableFile.OpenRead(name.Wraps(vaultDirectory));
            long length = wraps.Length; // before the pack is opened: bodies are durable before their wraps
            if (!File.Exists(name.Pack(vaultDirectory)))
            {
                fault(name.ToString(), "it has wraps but no pack.");
                Each(wraps, length, name, null, see, fault, cancellation);
                continue;
            }

            using DurableFile pack = DurableFile.OpenRead(name.Pack(vaultDirectory));
            Each(wraps, length, name, bodies ? pack : null, see, fault, cancellation);
        }
    }

    private static void Each(DurableFile wraps, long length, PackName name, DurableFile? pack, SeeWrap see, SeeFault fault, CancellationToken cancellation)
    {
        long packLength = pack?.Length ?? 0, packEnd = 0;
        byte[] block = ArrayPool<byte>.Shared.Rent(RecordsPerRead * WrapRecord.Bytes);
        string text = name.ToString();
        Span<byte> header = stackalloc byte[PackRecord.HeaderBytes];
        try
        {
            long whole = length / WrapRecord.Bytes * WrapRecord.Bytes; // a shorter rest is torn
            for (long at = 0; at < whole;)
            {
                cancellation.ThrowIfCancellationRequested();
                int read = wraps.ReadAt(at, block.AsSpan(0, (int)Math.Min(RecordsPerRead * WrapRecord.Bytes, whole - at)));
                if (read < WrapRecord.Bytes)
                {
                    fault(name.ToString(), "its wraps became fewer while they were read.");
                    return;
                }

                for (int i = 0; i + WrapRecord.Bytes <= read; i += WrapRecord.Bytes, at += WrapRecord.Bytes)
                {
                    var wrap = new WrapRecord(block.AsSpan(i, WrapRecord.Bytes));
                    if (!wrap.IsWhole)
                    {
                        fault(name.ToString(), $"its wrap {at / WrapRecord.Bytes} is damaged.");
                        continue;
                    }

                    string reference = VaultShredding.Name(wrap.Ref);
                    see(reference, wrap.Commitment, text, at);
                    if (wrap.ExpiryDay != name.Day)
                    {
                        fault(name.ToString(), $"the wrap of {reference} names another last day, {VaultDay.Text(wrap.ExpiryDay)}.");
                    }

                    if (wrap.Kind == WrapKind.First && wrap.PackOffset < packEnd)
                    {
                        fault(name.ToString(), $"the wrap of {reference} stands out of order: wraps were exchanged or moved.");
                    }

                    packEnd = wrap.Kind == WrapKind.First ? Math.Max(packEnd, wrap.PackEnd) : packEnd;
                    if (pack is not null && (wrap.PackEnd > packLength || pack.ReadAt(wrap.PackOffset, header) != header.Length
                        || !PackRecord.TryReadHeader(header, out int body) || body != wrap.BodyLength || !PackRecord.Ref(header).SequenceEqual(wrap.Ref)))
                    {
                        fault(name.ToString(), $"the body of {reference} is not where its wrap says, or is cut short.");
                    }
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }
}
