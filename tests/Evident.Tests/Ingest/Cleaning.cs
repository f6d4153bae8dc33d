using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;

namespace Evident.Tests.Ingest;

/// <summary>A sealer that remembers what it was given: what an observer of the vault would read.</summary>
internal sealed class RecordingSealer : IPayloadSealer
{
    internal List<(Scope Scope, string Role, bool KeepLong, string Text)> Sealed { get; } = [];

    public void Seal(Scope scope, string role, bool keepLong, ReadOnlySpan<byte> redacted, Span<byte> ref29, Span<byte> commitment32)
    {
        Encoding.ASCII.GetBytes($"vr_{Sealed.Count:D26}").CopyTo(ref29);
        SHA256.HashData(redacted, commitment32);
        Sealed.Add((scope, role, keepLong, Encoding.UTF8.GetString(redacted)));
    }

    internal List<(Scope Scope, string Role, string Text)> InFull { get; } = [];

    public void SealInFull(Scope scope, string role, ReadOnlySpan<byte> original, Span<byte> ref29, Span<byte> commitment32)
    {
        Encoding.ASCII.GetBytes($"vr_{Sealed.Count + InFull.Count:D26}").CopyTo(ref29);
        SHA256.HashData(original, commitment32);
        InFull.Add((scope, role, Encoding.UTF8.GetString(original)));
    }

    internal string Text(string role) => Sealed.Single(s => s.Role == role).Text;
}

/// <summary>Scopes whose keys follow from the tenant's name.</summary>
internal sealed class NamedScopes : IScopes
{
    private readonly Dictionary<string, Scope> scopes = [];

    public Scope Resolve(ReadOnlySpan<byte> tenantId)
    {
        string name = Encoding.UTF8.GetString(tenantId);
        if (!scopes.TryGetValue(name, out var scope)) scopes[name] = scope = Make(name);
        return scope;
    }

    internal static Scope Make(string name) => new(Convert.ToHexStringLower(Key(name, "id")[..16]), Key(name, "pseudonym"), Key(name, "fingerprint"), Key(name, "staff"));

    private static byte[] Key(string name, string use) => SHA256.HashData(Encoding.UTF8.GetBytes($"{use}:{name}"));
}

internal static class Cleaning
{
    internal static readonly SpanCleaner Cleaner = new(Conventions.Default, RuleSet.Default, CapturePolicy.Default, new IngestLimits());

    internal static CleanBatch Clean(OtlpRequest request, RecordingSealer sealer, bool json = false) => Clean(into =>
    {
        if (json) OtlpJsonDecoder.Decode(request.Json(), new IngestLimits(), into);
        else OtlpTraceDecoder.Decode(request.Protobuf(), new IngestLimits(), into);
    }, sealer);

    internal static CleanBatch Clean(Action<SpanBatch> decode, RecordingSealer sealer, SpanCleaner? by = null)
    {
        using var batch = SpanBatch.Rent();
        decode(batch);
        return (by ?? Cleaner).Clean(batch, new NamedScopes(), sealer);
    }

    /// <summary>A cleaner of its own, with a structure key of its own.</summary>
    internal static SpanCleaner By(CaptureOptions capture, IFullCapture? inFull = null) =>
        new(Conventions.Default, RuleSet.Default, CapturePolicy.TryBuild(capture, out _) ?? throw new ArgumentException("no policy", nameof(capture)), new IngestLimits(), inFull);

    /// <summary>One span through protobuf decoding, cleaning and reading back.</summary>
    internal static StoredSpan One(OtlpSpan span, RecordingSealer? sealer = null, params KeyValuePair<string, object?>[] resource)
    {
        using var clean = Clean(new OtlpRequest(new OtlpResourceSpans(resource, "agent.tools", "1.0", [], [span])), sealer ?? new RecordingSealer());
        return StoredSpan.Decode(clean.Encoded(0));
    }
}
