using System.IO.Compression;

namespace Evident.Commands;

/// <summary>
/// The pages and the second verifier that go into every bundle: embedded by Evident.csproj from docs/ and tests/verifier/, so that a bundle explains the
/// formats of the very version that wrote it.
/// </summary>
internal static class BundleDocuments
{
    /// <summary>No page is longer than this, bytes.</summary>
    private const int MaxBytes = 1 << 20;

    private static readonly (string Name, string Resource)[] Known =
    [
        ("docs/evidence.md", "bundle/evidence.md"),
        ("docs/ledger-format.md", "bundle/ledger-format.md"),
        ("verify.py", "bundle/evident_verify.py"),
    ];

    /// <summary>Name in the bundle and content; what this build was made without is left out.</summary>
    public static IReadOnlyList<(string Name, byte[] Content)> Read()
    {
        var documents = new List<(string, byte[])>();
        foreach ((string name, string resource) in Known)
        {
            using Stream? stream = typeof(BundleDocuments).Assembly.GetManifestResourceStream(resource);
            if (stream is null)
            {
                continue;
            }

            byte[] stored = new byte[stream.Length];
            stream.ReadExactly(stored);
            byte[] plain = new byte[MaxBytes];
            documents.Add((name, BrotliDecoder.TryDecompress(stored, plain, out int length) ? plain[..length] : stored)); // stored plain by a build without Node.js
        }

        return documents;
    }
}
