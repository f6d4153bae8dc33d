using System.Globalization;
using System.Text;

namespace Evident.Ingest;

/// <summary>Reply bodies in the request's encoding (ingest-protocols 2.2 and 2.3): <c>ExportTraceServiceResponse</c> and <c>google.rpc.Status</c>.</summary>
public static class OtlpResponse
{
    /// <summary>Everything was kept: no byte in protobuf, <c>{}</c> in JSON.</summary>
    public static byte[] Success(bool json) => json ? "{}"u8.ToArray() : [];

    /// <summary>The reply to a request that was stored but for <paramref name="rejected"/> spans.</summary>
    public static byte[] To(long rejected, string? reason, bool json, OtlpSignal signal = OtlpSignal.Traces) => rejected > 0 || reason is not null ? PartialSuccess(json, rejected, reason ?? "", signal) : Success(json);

    /// <summary>Some spans were refused and must not be sent again; with zero refused, the message is a warning.</summary>
    public static byte[] PartialSuccess(bool json, long rejected, string message, OtlpSignal signal = OtlpSignal.Traces)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rejected);
        if (json)
        {
            string count = rejected.ToString(CultureInfo.InvariantCulture);
            return [.. "{\"partialSuccess\":{\""u8, .. signal switch { OtlpSignal.Logs => "rejectedLogRecords"u8, OtlpSignal.Metrics => "rejectedDataPoints"u8, _ => "rejectedSpans"u8 }, .. "\":\""u8, .. Encoding.ASCII.GetBytes(count), .. "\",\"errorMessage\":"u8, .. JsonString(message), .. "}}"u8];
        }
        byte[] content = [.. IntegerField(1, (ulong)rejected), .. TextField(2, message)];
        return [.. Header(1, content.Length), .. content];
    }

    /// <summary>A refusal; <paramref name="grpcCode"/> is a gRPC status number (3 = invalid argument, 8 = exhausted, 14 = unavailable).</summary>
    public static byte[] Status(bool json, int grpcCode, string message)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(grpcCode);
        return json
            ? [.. "{\"code\":"u8, .. Encoding.ASCII.GetBytes(grpcCode.ToString(CultureInfo.InvariantCulture)), .. ",\"message\":"u8, .. JsonString(message), .. "}"u8]
            : [.. IntegerField(1, (ulong)grpcCode), .. TextField(2, message)];
    }

    /// <summary><c>google.rpc.RetryInfo</c> with that delay: the content of the gRPC trailer <c>google.rpc.retryinfo-bin</c>.</summary>
    public static byte[] RetryInfo(int seconds)
    {
        byte[] delay = IntegerField(1, (ulong)seconds);
        return [.. Header(1, delay.Length), .. delay];
    }

    /// <summary>A refusal in protobuf that says when to try again: the content of the gRPC trailer <c>grpc-status-details-bin</c>.</summary>
    public static byte[] Status(int grpcCode, string message, int retrySeconds)
    {
        byte[] info = RetryInfo(retrySeconds);
        byte[] any = [.. TextField(1, "type.googleapis.com/google.rpc.RetryInfo"), .. Header(2, info.Length), .. info];
        return [.. Status(json: false, grpcCode, message), .. Header(3, any.Length), .. any];
    }

    private static byte[] JsonString(string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        byte[] quoted = new byte[JsonText.StringLength(utf8)];
        JsonText.WriteString(utf8, quoted);
        return quoted;
    }

    private static byte[] TextField(int field, string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        return utf8.Length == 0 ? [] : [.. Header(field, utf8.Length), .. utf8];
    }

    private static byte[] IntegerField(int field, ulong value) => value == 0 ? [] : [(byte)(field << 3), .. Varint(value)];

    private static byte[] Header(int field, int length) => [(byte)((field << 3) | 2), .. Varint((ulong)length)];

    private static byte[] Varint(ulong value)
    {
        var bytes = new List<byte>(10);
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value & 0x7f | 0x80));
        bytes.Add((byte)value);
        return [.. bytes];
    }
}
