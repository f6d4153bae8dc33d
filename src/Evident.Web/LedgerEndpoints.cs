using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Ledger;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evident.Web;

/// <summary>The ledger as readers may see it: durable sizes only, each entry with both of its hashes (design section 3).</summary>
internal sealed class LedgerEndpoints(StoreDoor door)
{
    private const int DefaultEntries = 100, MaxEntries = 1000;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.Map("/api/v1/ledger/head", Api.Read(context => Api.WriteAsync(context, door.Store.LedgerHead(), StoreJson.Default.LedgerHeadView)));
        routes.Map("/api/v1/ledger/head.svg", Api.Read(PictureAsync));
        routes.Map("/api/v1/ledger/entries", Api.Read(EntriesAsync));
        routes.Map("/api/v1/ledger/proof/{seq}", Api.Read(ProofAsync));
    }

    // The note's own bytes: what a phone reads from the screen is what `verify --known-head` takes.
    private Task PictureAsync(HttpContext context)
    {
        byte[] note = Encoding.UTF8.GetBytes(door.Store.LedgerHead().Checkpoint);
        if (note.Length > QrCode.MaxBytes)
        {
            return ErrorReply.WriteAsync(context, StatusCodes.Status404NotFound, "head_too_large", "The published head carries too many cosignatures for one QR code; take the note's text.");
        }

        if (note.Length == 0)
        {
            return ErrorReply.WriteAsync(context, StatusCodes.Status404NotFound, "head_not_published", "No head has been published yet; the appliance publishes the first one within ledger.publishSeconds.");
        }

        context.Response.ContentType = "image/svg+xml";
        return context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(QrCode.ToSvg(note)), context.RequestAborted).AsTask();
    }

    private Task EntriesAsync(HttpContext context) =>
        LedgerQuery.Read(context.Request.Query) is { } filter ? FoundAsync(context, filter) : InOrderAsync(context);

    // From a number on, ascending: the plain reading of the ledger, which needs no index.
    private Task InOrderAsync(HttpContext context)
    {
        long from = Api.Number(context.Request.Query, "from", 0, 0, long.MaxValue);
        int limit = (int)Api.Number(context.Request.Query, "limit", DefaultEntries, 1, MaxEntries);
        long size = door.Store.LedgerHead().Size; // taken first: what is returned may reach beyond it, never end before it
        IReadOnlyList<LedgerLine> lines = from < size ? door.Store.LedgerEntries(from, limit) : [];

        var body = new ArrayBufferWriter<byte>(64 * 1024);
        using (var json = new Utf8JsonWriter(body))
        {
            WriteEntries(json, lines);
            long next = lines.Count == 0 ? size : lines[^1].Seq + 1;
            size = Math.Max(size, next);
            if (next < size)
            {
                json.WriteNumber("next"u8, next);
            }
            else
            {
                json.WriteNull("next"u8);
            }

            json.WriteNumber("size"u8, size);
            json.WriteEndObject();
        }

        return SendAsync(context, body.WrittenMemory);
    }

    private Task FoundAsync(HttpContext context, LedgerFilter filter)
    {
        LedgerPage page;
        try
        {
            page = door.Store.FindEntries(filter, context.RequestAborted);
        }
        catch (LedgerIndexException e)
        {
            return ErrorReply.WriteAsync(context, StatusCodes.Status500InternalServerError, "index_mismatch", e.Message);
        }

        var body = new ArrayBufferWriter<byte>(64 * 1024);
        using (var json = new Utf8JsonWriter(body))
        {
            WriteEntries(json, page.Entries);
            json.WriteString("next"u8, page.Next);
            json.WriteNumber("size"u8, page.Size);
            json.WriteNumber("indexed"u8, page.Indexed);
            json.WriteNumber("looked_to"u8, page.LookedTo);
            if (page.Matches is { } matches)
            {
                json.WriteNumber("matches"u8, matches);
                json.WriteBoolean("matches_complete"u8, page.MatchesComplete);
            }

            json.WriteEndObject();
        }

        return SendAsync(context, body.WrittenMemory);
    }

    private static void WriteEntries(Utf8JsonWriter json, IReadOnlyList<LedgerLine> lines)
    {
        json.WriteStartObject();
        json.WriteStartArray("entries"u8);
        foreach (LedgerLine line in lines)
        {
            LedgerJson.Write(json, line);
        }

        json.WriteEndArray();
    }

    private Task ProofAsync(HttpContext context)
    {
        string text = (string)context.Request.RouteValues["seq"]!;
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long seq))
        {
            throw new BadQueryException("A sequence number is a whole number from 0.");
        }

        string? format = Api.Text(context.Request.Query, "format");
        if (format is not (null or "json" or "tlog-proof"))
        {
            throw new BadQueryException("format is json or tlog-proof.");
        }

        if (format == "tlog-proof" || (format is null && context.Request.Headers.Accept == "text/plain"))
        {
            if (door.Store.LedgerTlogProof(seq) is not { } file)
            {
                return NotPublishedAsync(context);
            }

            context.Response.ContentType = "text/plain; charset=utf-8";
            context.Response.ContentLength = file.Length;
            context.Response.Headers.ContentDisposition = string.Create(CultureInfo.InvariantCulture, $"attachment; filename=\"entry-{seq}.tlog-proof\"");
            return context.Response.Body.WriteAsync(file, context.RequestAborted).AsTask();
        }

        if (door.Store.LedgerProof(seq) is not { } proof)
        {
            return NotPublishedAsync(context);
        }

        var body = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(body))
        {
            LedgerJson.Write(json, proof);
        }

        return SendAsync(context, body.WrittenMemory);
    }

    private static Task NotPublishedAsync(HttpContext context) => ErrorReply.WriteAsync(
        context,
        StatusCodes.Status404NotFound,
        "entry_not_published",
        "No published checkpoint covers an entry with that number yet; see published_size of /api/v1/ledger/head.");

    internal static Task SendAsync(HttpContext context, ReadOnlyMemory<byte> json)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.Length;
        return context.Response.Body.WriteAsync(json, context.RequestAborted).AsTask();
    }
}
