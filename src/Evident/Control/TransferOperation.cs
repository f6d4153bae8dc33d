using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Store;

namespace Evident.Control;

/// <summary>
/// What imports, exports and the price table ask of the owner. <c>spans.import</c>: the body is a piece of a file, <c>ref</c> its kind. <c>runs.find</c>: <c>note</c> holds a filter, one
/// <c>name=value</c> a line. <c>runs.export</c>: <c>ref</c> is the format, <c>reason</c> the run; the reply's payload is the run. <c>transfer.record</c>: <c>note</c> is the claim for the ledger.
/// </summary>
internal static class TransferOperation
{
    public const string Import = "spans.import", Export = "runs.export", Find = "runs.find", Record = "transfer.record", ImportPrices = "prices.import", Prices = "prices.show";

    public static async Task<Reply> RunAsync(EvidentStore store, Operation operation, Actor actor, CancellationToken cancel)
    {
        try
        {
            switch (operation.Name)
            {
                case Import:
                    return await ImportAsync(store, operation, actor);
                case Find:
                    RunPage page = store.FindRuns(Query(Encoding.UTF8.GetString(operation.Note ?? [])), cancel);
                    return Reply.Done(json =>
                    {
                        json.WriteStartArray("runs"u8);
                        foreach (RunView run in page.Runs)
                        {
                            json.WriteStringValue(run.RunId);
                        }

                        json.WriteEndArray();
                        json.WriteString("next"u8, page.Next);
                    });
                case Export:
                    return operation is not { Reference: "otlp-json" or "jsonl" or "csv", Reason: { Length: > 0 and <= 256 } run } ? Reply.Refused("runs.export needs a format and a run.")
                        : store.ExportRun(run, operation.Reference, cancel) is { } bytes ? Reply.Done(json => json.WriteString("run"u8, run), bytes)
                        : Reply.Refused($"There is no run '{run}' in this appliance.");
                case Record:
                    TransferClaim claim = Claim(operation.Note ?? []);
                    await store.RecordTransferAsync(claim, actor); // in the ledger, durable, from here on
                    return Reply.Done(json => json.WriteString("sha256"u8, claim.Sha256));
                case ImportPrices:
                    PriceEdition edition = await store.ImportPricesAsync(operation.Body, actor);
                    return Reply.Done(json => Write(json, edition));
                default:
                    return Reply.Done(json =>
                    {
                        json.WriteStartArray("tables"u8);
                        foreach (PriceEdition one in store.Prices.Editions)
                        {
                            json.WriteStartObject();
                            Write(json, one);
                            json.WriteEndObject();
                        }

                        json.WriteEndArray();
                    });
            }
        }
        catch (Exception e) when (e is OtlpDecodeException or QueueFullException or StoreStoppedException or StoreException or PriceFormatException or RunExportException or ExportRefusedException or FormatException or QueryFormatException)
        {
            return Reply.Refused(e.Message);
        }
    }

    private static async Task<Reply> ImportAsync(EvidentStore store, Operation operation, Actor actor)
    {
        if (!ImportDecoder.TryParse(operation.Reference, out ImportKind kind))
        {
            return Reply.Refused("spans.import needs the kind of its body.");
        }

        var refused = new List<RefusedEvent>();
        using SpanBatch batch = SpanBatch.Rent();
        ImportDecoder.Decode(kind, operation.Body, store.Limits, batch, refused);
        // Not to be given up half way: what became of the piece is part of the import's entry.
        IngestReceipt receipt = await store.IngestAsync(batch, new IngestSource("import:" + actor.Id) { Carries = true }, CancellationToken.None);
        return Reply.Done(json =>
        {
            json.WriteNumber("accepted"u8, receipt.Accepted);
            json.WriteNumber("duplicates"u8, receipt.Duplicates);
            json.WriteNumber("rejected"u8, receipt.Rejected);
            json.WriteString("reason"u8, receipt.RejectedReason);
        });
    }

    private static SpanQuery Query(string lines)
    {
        var query = new SpanQuery(Limit: SpanQuery.MaxLimit);
        foreach (string line in lines.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = Math.Max(line.IndexOf('=', StringComparison.Ordinal), 0);
            query = query.With(line[..equals], line[(equals + 1)..]) ?? throw new FormatException($"'{line[..equals]}' is no filter that this appliance knows.");
        }

        return query;
    }

    public static byte[] Bytes(TransferClaim claim) => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
        $"{claim.Format}\n{claim.Sha256}\n{(claim.Runs is { } runs ? runs : -1)}\n{claim.Files}\n{claim.Accepted}\n{claim.Rejected}\n{claim.Duplicates}"));

    private static TransferClaim Claim(byte[] bytes)
    {
        string[] parts = Encoding.UTF8.GetString(bytes).Split('\n');
        long Number(int at) => long.TryParse(parts[at], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : throw new FormatException("A transfer's claim holds numbers.");
        return parts.Length == 7
            ? new TransferClaim(parts[0], parts[1], Number(2) < 0 ? null : Number(2), Number(3), Number(4), Number(5), Number(6))
            : throw new FormatException("A transfer's claim has seven lines.");
    }

    private static void Write(Utf8JsonWriter json, PriceEdition edition)
    {
        json.WriteString("version"u8, edition.Table.Version);
        json.WriteString("in_force_from"u8, edition.FromUnixMillis == 0 ? null : Rfc3339.FormatMillis(edition.FromUnixMillis));
        json.WriteNumber("rows"u8, edition.Table.Rows);
        json.WriteString("sha256"u8, Convert.ToHexStringLower(edition.Table.Hash));
    }
}
