using System.Text;

namespace Evident.Ingest;

/// <summary>A part of a form: where its content is, and what its name says.</summary>
/// <param name="Run"><c>post.&lt;id&gt;</c> or <c>patch.&lt;id&gt;</c>; empty for everything else.</param>
/// <param name="Member">What stands behind that, such as <c>inputs</c>; empty for the run itself.</param>
internal sealed record FormPart(int Offset, int Length, string Run, string Member, bool IsFeedback);

/// <summary>multipart/form-data (RFC 7578, RFC 2046 section 5.1) as LangSmith's clients send it: the parts' names and where their contents are. Other headers of a part are not looked at. Pure.</summary>
internal static class Multipart
{
    private const int MaxNameBytes = 256, MaxHeaderBytes = 4_096;

    /// <exception cref="OtlpDecodeException">It is no such form, or has too many parts.</exception>
    public static List<FormPart> Parts(ReadOnlySpan<byte> body, string boundary, int most)
    {
        var parts = new List<FormPart>();
        byte[] opening = Encoding.ASCII.GetBytes("--" + boundary), between = Encoding.ASCII.GetBytes("\r\n--" + boundary);
        int at = body.StartsWith(opening) ? opening.Length : body.IndexOf(between) is >= 0 and var preamble ? preamble + between.Length : Refuse(0);
        while (true)
        {
            var rest = body[at..];
            if (rest.StartsWith("--"u8))
            {
                return parts;
            }

            int line = rest.IndexOf("\r\n"u8); // white space may stand behind a boundary
            int headers = line < 0 ? -1 : rest[line..].IndexOf("\r\n\r\n"u8);
            if (headers < 0 || headers > MaxHeaderBytes)
            {
                Refuse(at);
            }

            int content = at + line + headers + 4, length = body[content..].IndexOf(between);
            if (length < 0 || parts.Count == most)
            {
                Refuse(content);
            }

            parts.Add(Named(rest.Slice(line, headers), content, length));
            at = content + length + between.Length;
        }
    }

    private static int Refuse(int at)
    {
        OtlpDecodeException.Throw(at, "multipart/form-data with the boundary that its content type names, whole, and of a bounded number of parts");
        return 0;
    }

    private static FormPart Named(ReadOnlySpan<byte> headers, int offset, int length)
    {
        int from = headers.IndexOf(" name=\""u8) is >= 0 and var quoted ? quoted + 7 : headers.IndexOf(";name=\""u8) is >= 0 and var close ? close + 7 : -1;
        int end = from < 0 ? -1 : headers[from..].IndexOf((byte)'"');
        string name = end is > 0 and <= MaxNameBytes ? Encoding.ASCII.GetString(headers.Slice(from, end)) : "";
        if (!name.StartsWith("post.", StringComparison.Ordinal) && !name.StartsWith("patch.", StringComparison.Ordinal))
        {
            return new FormPart(offset, length, "", "", name.StartsWith("feedback.", StringComparison.Ordinal));
        }

        int id = name.IndexOf('.', StringComparison.Ordinal) + 1, member = name.IndexOf('.', id);
        return member < 0 ? new FormPart(offset, length, name, "", false) : new FormPart(offset, length, name[..member], name[(member + 1)..], false);
    }
}
