using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Evident.Web;

/// <summary>
/// The web view, embedded in this assembly as the ui build wrote it: every file plain, <c>.br</c> and <c>.gz</c>, and
/// <c>manifest.json</c> with their addresses, types and digests. Served straight from the mapped image, nothing is compressed at run
/// time. Hashed names are immutable; the page itself is revalidated by its ETag.
/// </summary>
internal sealed class EmbeddedAssets
{
    /// <summary>Logical names are <c>ui/</c> + the path below dist/ (Evident.Web.csproj).</summary>
    private const string Prefix = "ui/";

    private static readonly Assembly Assembly = typeof(EmbeddedAssets).Assembly;

    private readonly Lazy<Dictionary<string, Asset>> assets = new(ReadManifest);

    private sealed record Asset(string File, string Type, bool Immutable, string Digest);

    public bool Has(PathString path) => assets.Value.ContainsKey(path.Value ?? "");

    /// <summary>Serves an address that <see cref="Has"/>.</summary>
    public async Task ServeAsync(HttpContext context)
    {
        Asset asset = assets.Value[context.Request.Path.Value ?? ""];
        HttpResponse response = context.Response;
        (string suffix, string? coding) = Pick(context.Request.Headers.AcceptEncoding);
        string etag = $"\"{asset.Digest[..32]}{suffix}\"";
        response.Headers.Vary = HeaderNames.AcceptEncoding;
        response.Headers.ETag = etag;
        response.Headers.CacheControl = asset.Immutable ? "public, max-age=31536000, immutable" : "no-cache";
        if (Matches(context.Request.Headers.IfNoneMatch, etag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        await using Stream content = Open(asset.File + suffix);
        if (coding is not null)
        {
            response.Headers.ContentEncoding = coding;
        }

        response.ContentType = asset.Type;
        response.ContentLength = content.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await content.CopyToAsync(response.Body, context.RequestAborted);
        }
    }

    private static (string Suffix, string? Coding) Pick(string? acceptEncoding) =>
        Accepts(acceptEncoding, "br") ? (".br", "br") : Accepts(acceptEncoding, "gzip") ? (".gz", "gzip") : ("", null);

    private static bool Accepts(string? header, string coding)
    {
        foreach (string part in (header ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (StringWithQualityHeaderValue.TryParse(part, out var accepted)
                && accepted.Value.Equals(coding, StringComparison.OrdinalIgnoreCase))
            {
                return accepted.Quality is not 0;
            }
        }

        return false;
    }

    private static bool Matches(string? ifNoneMatch, string etag) =>
        ifNoneMatch is not null
        && ifNoneMatch.Split(',', StringSplitOptions.TrimEntries).Any(t => t == "*" || t.TrimStart('W', '/') == etag);

    private static Stream Open(string file) =>
        Assembly.GetManifestResourceStream(Prefix + file)
        ?? throw new InvalidOperationException($"The web view lists '{file}', but the build did not embed it.");

    private static Dictionary<string, Asset> ReadManifest()
    {
        using Stream? stream = Assembly.GetManifestResourceStream(Prefix + "manifest.json");
        if (stream is null)
        {
            return []; // built with EvidentUi=false
        }

        using JsonDocument manifest = JsonDocument.Parse(stream);
        int version = manifest.RootElement.GetProperty("version").GetInt32();
        if (version != 1)
        {
            throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture, $"The web view's manifest has version {version}; this build reads version 1."));
        }

        var found = new Dictionary<string, Asset>(StringComparer.Ordinal);
        foreach (JsonElement file in manifest.RootElement.GetProperty("files").EnumerateArray())
        {
            found.Add(
                file.GetProperty("path").GetString()!,
                new Asset(
                    file.GetProperty("file").GetString()!,
                    file.GetProperty("type").GetString()!,
                    file.GetProperty("immutable").GetBoolean(),
                    file.GetProperty("sha256").GetString()!));
        }

        return found;
    }
}
