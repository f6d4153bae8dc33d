using System.Collections.Concurrent;
using Evident.Ingest;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// From a decoded request to a queued one, all on the caller's thread: clean, seal, decode what may concern the ledger. Thread safe. A request is in
/// the queue whole or not at all; once it is there, nothing its caller does can change what becomes of it.
/// </summary>
/// <param name="inFull">The open debug sessions.</param>
internal sealed class IngestPipeline(StoreOptions options, VaultStore vault, WriteQueue queue, IFullCapture inFull, IdentityRegister identities)
{
    private readonly SpanCleaner cleaner = new(Conventions.Default, options.Redaction, options.Capture, options.Limits, inFull);
    private readonly ConcurrentDictionary<string, WorkspaceScopes> workspaces = new(StringComparer.Ordinal);

    public RedactionCounters Redactions { get; } = new(options.Redaction);

    /// <summary>Completes when the request is durable. The batch is not used after this method has returned its task.</summary>
    public Task<IngestReceipt> Submit(SpanBatch dirty, IngestSource source)
    {
        queue.Arrive();
        try
        {
            var request = Prepare(dirty, source);
            var found = request.Spans!.Counts; // the request is the writer's once it is queued
            var receipt = queue.Submit(request);
            Redactions.Add(found.Span);
            return receipt;
        }
        finally
        {
            queue.Leave();
        }
    }

    public WorkspaceScopes ScopesOf(string workspace) => workspaces.GetOrAdd(workspace, static (name, store) => new WorkspaceScopes(store, name), vault);

    private WriteRequest Prepare(SpanBatch dirty, IngestSource source)
    {
        var payloads = vault.NewBatch();
        CleanBatch? clean = null;
        try
        {
            var scopes = ScopesOf(source.Workspace);
            var sealer = new PayloadSealer(scopes, payloads);
            clean = cleaner.Clean(dirty, scopes, sealer, source.Carries);
            if (clean.Staff.Count > 0)
            {
                identities.Note(clean.Staff);
            }

            long bytes = sealer.Bytes;
            Dictionary<int, StoredSpan>? decoded = null;
            List<int>? roots = null;
            for (int i = 0; i < clean.Count; i++)
            {
                var encoded = clean.Encoded(i);
                bytes += encoded.Length;
                if (SpanGlance.MayBeLedgered(encoded, out bool isRoot))
                {
                    (decoded ??= []).Add(i, StoredSpan.Decode(encoded));
                }
                else if (isRoot)
                {
                    (roots ??= []).Add(i);
                }
            }

            return new WriteRequest
            {
                Source = source, Spans = clean, Sealed = payloads, References = sealer.References, Bytes = bytes,
                Decoded = decoded ?? [], Contexts = ContextsOf(clean, decoded, roots),
            };
        }
        catch
        {
            clean?.Dispose();
            payloads.Dispose();
            throw;
        }
    }

    private static Dictionary<TraceId, TraceContext> ContextsOf(CleanBatch clean, Dictionary<int, StoredSpan>? decoded, List<int>? roots)
    {
        var contexts = new Dictionary<TraceId, TraceContext>();
        if (decoded is not null && roots is not null)
        {
            var concerned = new HashSet<TraceId>();
            foreach (var span in decoded.Values)
            {
                concerned.Add(span.TraceId);
            }

            foreach (int root in roots)
            {
                var trace = clean[root].Key.Trace;
                if (concerned.Contains(trace))
                {
                    contexts[trace] = TraceContext.Of(StoredSpan.Decode(clean.Encoded(root))).Or(contexts.GetValueOrDefault(trace));
                }
            }
        }

        return contexts;
    }
}

/// <summary>The scopes of one workspace, by tenant, as <c>Ingest</c> sees them.</summary>
internal sealed class WorkspaceScopes(VaultStore vault, string workspace) : IScopes
{
    private readonly ConcurrentDictionary<string, (Scope Scope, VaultScope Vault)> byId = new(StringComparer.Ordinal);

    public Scope Resolve(ReadOnlySpan<byte> tenantId)
    {
        var found = vault.ResolveScope(workspace, tenantId);
        return byId.TryGetValue(found.Id, out var known) ? known.Scope : byId.GetOrAdd(
            found.Id, (new Scope(found.Id, found.PseudonymKey, found.FingerprintKey, found.StaffKey), found)).Scope;
    }

    public VaultScope VaultScope(Scope scope) => byId[scope.Id].Vault;
}

/// <summary>Seals into one request's batch and remembers the references in the order of the records.</summary>
internal sealed class PayloadSealer(WorkspaceScopes scopes, SealedBatch batch) : IPayloadSealer
{
    private byte[]? references;

    public long Bytes { get; private set; }

    public PayloadReferences References => new(references, batch.Records.Count);

    public void Seal(Scope scope, string role, bool keepLong, ReadOnlySpan<byte> redacted, Span<byte> ref29, Span<byte> commitment32)
    {
        batch.Seal(scopes.VaultScope(scope), role, keepLong, redacted, ref29, commitment32);
        Add(redacted.Length, ref29);
    }

    public void SealInFull(Scope scope, string role, ReadOnlySpan<byte> original, Span<byte> ref29, Span<byte> commitment32)
    {
        batch.SealInFull(scopes.VaultScope(scope), role, original, ref29, commitment32);
        Add(original.Length, ref29);
    }

    private void Add(int length, ReadOnlySpan<byte> ref29)
    {
        int at = (batch.Records.Count - 1) * PayloadReferences.Length;
        Bytes += length;
        if (references is null || references.Length < at + PayloadReferences.Length)
        {
            Array.Resize(ref references, Math.Max(8 * PayloadReferences.Length, 2 * at));
        }

        ref29[..PayloadReferences.Length].CopyTo(references.AsSpan(at));
    }
}
