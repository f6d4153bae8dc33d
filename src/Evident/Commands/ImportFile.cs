using System.Buffers.Binary;
using System.Text.Json;
using Evident.Ingest;

namespace Evident.Commands;

/// <summary>One request's worth of a file, or several joined to one.</summary>
/// <param name="Line">The line on which it begins, from 1; 0 in a file without lines.</param>
/// <param name="LastLine">The line on which its last part begins.</param>
internal sealed record ImportPiece(ImportKind Kind, ReadOnlyMemory<byte> Bytes, int Line, int LastLine);

/// <summary>
/// A file taken apart (docs/connect/offline.md): JSON values one after the other, each an <c>ExportTraceServiceRequest</c>, an <c>ExportLogsServiceRequest</c>, an event or an array of events; or
/// protobuf, one request or several with a length of 4 bytes, big-endian, before each, as the collector's file exporter writes them. Every piece is decoded here before anything is sent.
/// </summary>
internal static class ImportFile
{
    public const int MaxBytes = 1 << 30;
    private const int JoinedBytes = 1 << 20;

    /// <param name="refused">Receives what single records are refused for, with the line of their piece.</param>
    /// <exception cref="RefusedException">A piece is not decodable; the message names file and line.</exception>
    public static List<ImportPiece> Read(string path, byte[] bytes, IngestLimits limits, List<string> refused)
    {
        var pieces = new List<ImportPiece>();
        int first = bytes.AsSpan().IndexOfAnyExcept(" \t\r\n"u8);
        if (first < 0)
        {
            return pieces;
        }

        if (bytes[first] is (byte)'{' or (byte)'[' || (bytes[first] == 0xef && bytes.AsSpan(first).StartsWith("\uFEFF"u8)))
        {
            Json(path, bytes, bytes[first] == 0xef ? first + 3 : 0, limits, pieces, refused);
        }
        else
        {
            Protobuf(path, bytes, limits, pieces, refused);
        }

        return Joined(pieces);
    }

    private static void Json(string path, byte[] bytes, int start, IngestLimits limits, List<ImportPiece> pieces, List<string> refused)
    {
        int line = 1, counted = 0;
        var reader = new Utf8JsonReader(bytes.AsSpan(start), new JsonReaderOptions { AllowMultipleValues = true, MaxDepth = limits.MaxDepth * 2 });
        int LineAt(int offset)
        {
            line += bytes.AsSpan(counted, offset - counted).Count((byte)'\n');
            counted = offset;
            return line;
        }

        try
        {
            while (reader.Read())
            {
                int at = start + (int)reader.TokenStartIndex;
                if (reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
                {
                    throw new RefusedException($"'{path}', line {LineAt(at)}: there is a bare value where an object or an array is expected. Nothing was imported.");
                }

                ImportKind? kind = KindOf(ref reader);
                int from = LineAt(at);
                if (kind is null)
                {
                    refused.Add($"'{path}', line {from}: metrics are not taken.");
                    continue;
                }

                Check(path, new ImportPiece(kind.Value, bytes.AsMemory(at, start + (int)reader.BytesConsumed - at), from, from), limits, pieces, refused);
            }
        }
        catch (JsonException damage)
        {
            int at = LineAt(Math.Min(bytes.Length, Math.Max(counted, start + (int)reader.BytesConsumed))) - 1;
            throw new RefusedException($"'{path}', line {Math.Max(at + 1, (int)(damage.LineNumber ?? 0) + 1)}: this is not well-formed JSON. Nothing was imported.");
        }
    }

    // By the first members of the object; ends on its last token. Null: metrics.
    private static ImportKind? KindOf(ref Utf8JsonReader reader)
    {
        ImportKind? kind = ImportKind.Events;
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            int depth = reader.CurrentDepth;
            while (reader.Read() && reader.CurrentDepth > depth)
            {
                if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == depth + 1)
                {
                    kind = reader.ValueTextEquals("resourceSpans"u8) || reader.ValueTextEquals("resource_spans"u8) ? ImportKind.OtlpJson
                        : reader.ValueTextEquals("resourceLogs"u8) || reader.ValueTextEquals("resource_logs"u8) ? ImportKind.OtlpJsonLogs
                        : reader.ValueTextEquals("resourceMetrics"u8) || reader.ValueTextEquals("resource_metrics"u8) ? null : kind;
                    reader.Read();
                    reader.Skip();
                }
            }
        }
        else
        {
            reader.Skip();
        }

        return kind;
    }

    private static void Protobuf(string path, byte[] bytes, IngestLimits limits, List<ImportPiece> pieces, List<string> refused)
    {
        var parts = new List<ReadOnlyMemory<byte>>();
        if (!TryFramed(bytes, parts))
        {
            parts.Add(bytes);
        }

        for (int i = 0; i < parts.Count; i++)
        {
            bool traces = Decodes(ImportKind.OtlpProto, parts[i], limits);
            if (!traces && !Decodes(ImportKind.OtlpProtoLogs, parts[i], limits))
            {
                throw new RefusedException($"'{path}', {(parts.Count > 1 ? $"message {i + 1}" : "its one message")}: this is neither JSON nor an OTLP protobuf request with traces or logs. Nothing was imported.");
            }

            Check(path, new ImportPiece(traces ? ImportKind.OtlpProto : ImportKind.OtlpProtoLogs, parts[i], 0, 0), limits, pieces, refused);
        }
    }

    // The collector's file exporter, format proto: fileexporter/file_writer.go writes an unsigned 32-bit length before each message.
    private static bool TryFramed(byte[] bytes, List<ReadOnlyMemory<byte>> parts)
    {
        int at = 0;
        while (at < bytes.Length)
        {
            uint length = bytes.Length - at < 4 ? uint.MaxValue : BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(at));
            if (length > bytes.Length - at - 4)
            {
                parts.Clear();
                return false;
            }

            parts.Add(bytes.AsMemory(at + 4, (int)length));
            at += 4 + (int)length;
        }

        return true;
    }

    private static bool Decodes(ImportKind kind, ReadOnlyMemory<byte> part, IngestLimits limits)
    {
        using SpanBatch batch = SpanBatch.Rent();
        try
        {
            ImportDecoder.Decode(kind, part.Span, limits, batch, []);
            return batch.SpanCount > 0 || batch.Rejected == 0;
        }
        catch (OtlpDecodeException)
        {
            return false;
        }
    }

    private static void Check(string path, ImportPiece piece, IngestLimits limits, List<ImportPiece> pieces, List<string> refused)
    {
        string where = piece.Line > 0 ? $"'{path}', line {piece.Line}" : $"'{path}'";
        if (piece.Bytes.Length > Math.Min(limits.MaxBodyBytes, Control.ControlSocket.MaxBodyBytes))
        {
            throw new RefusedException($"{where}: one value has more than {limits.MaxBodyBytes} bytes (configuration value ingest.maxBodyBytes). Nothing was imported.");
        }

        using SpanBatch batch = SpanBatch.Rent();
        var events = new List<RefusedEvent>();
        try
        {
            ImportDecoder.Decode(piece.Kind, piece.Bytes.Span, limits, batch, events);
        }
        catch (OtlpDecodeException e)
        {
            throw new RefusedException($"{where}: {e.Message}. Nothing was imported.");
        }

        if (batch.Rejected > 0)
        {
            refused.Add($"{where}: {batch.Rejected} refused: {batch.RejectedReason}");
        }

        pieces.Add(piece);
    }

    // Small pieces of one kind become one request: events stand one after the other, and an OTLP request may name its list more than once.
    private static List<ImportPiece> Joined(List<ImportPiece> pieces)
    {
        var joined = new List<ImportPiece>();
        for (int i = 0; i < pieces.Count;)
        {
            int end = i, bytes = 0;
            while (end < pieces.Count && pieces[end].Kind == pieces[i].Kind && IsObject(pieces[end]) && (bytes += pieces[end].Bytes.Length + 1) <= JoinedBytes)
            {
                end++;
            }

            if (end - i < 2)
            {
                joined.Add(pieces[i++]);
                continue;
            }

            using var one = new MemoryStream();
            bool events = pieces[i].Kind == ImportKind.Events;
            for (int k = i; k < end; k++)
            {
                one.WriteByte(events ? (byte)'\n' : k == i ? (byte)'{' : (byte)',');
                one.Write(events ? pieces[k].Bytes.Span : pieces[k].Bytes.Span[1..^1]);
            }

            if (!events)
            {
                one.WriteByte((byte)'}');
            }

            joined.Add(new ImportPiece(pieces[i].Kind, one.ToArray(), pieces[i].Line, pieces[end - 1].Line));
            i = end;
        }

        return joined;
    }

    // Of OTLP only objects with a member can be joined by a comma.
    private static bool IsObject(ImportPiece piece) => piece.Bytes.Span is [(byte)'{', .., (byte)'}']
        && piece.Kind is ImportKind.OtlpJson or ImportKind.OtlpJsonLogs or ImportKind.Events && (piece.Kind == ImportKind.Events || piece.Bytes.Span.IndexOf((byte)'"') > 0);
}
