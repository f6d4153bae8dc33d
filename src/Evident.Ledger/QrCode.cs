using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// Bytes as one QR code (ISO/IEC 18004): byte mode, the smallest version that holds them, error correction level M where it fits and else L. At most
/// 2,953 bytes; more is an <see cref="ArgumentOutOfRangeException"/>. All drawings have the quiet zone of four modules that readers need.
/// </summary>
public static class QrCode
{
    public const int MaxBytes = QrCodewords.MaxBytes;

    private const int Quiet = 4;

    /// <summary>An SVG image whose unit is one module; black on white, scaled by whoever shows it.</summary>
    public static string ToSvg(byte[] content)
    {
        var matrix = Matrix(content);
        int side = matrix.Size + (2 * Quiet);
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">");
        svg.Append(CultureInfo.InvariantCulture, $"<rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"");
        for (int y = 0; y < matrix.Size; y++)
        {
            for (int x = 0; x < matrix.Size; x++)
            {
                int run = 0;
                while (matrix[x + run, y])
                {
                    run++;
                }

                if (run > 0)
                {
                    svg.Append(CultureInfo.InvariantCulture, $"M{x + Quiet} {y + Quiet}h{run}v1h-{run}z");
                    x += run;
                }
            }
        }

        return svg.Append("\"/></svg>\n").ToString();
    }

    /// <summary>Two rows of modules in each line of text, dark ones drawn by half blocks: right on paper and on a light terminal.</summary>
    /// <param name="colours">Sets black on white in every line (ECMA-48), so that a dark terminal shows it right as well.</param>
    public static string ToText(byte[] content, bool colours)
    {
        var matrix = Matrix(content);
        var text = new StringBuilder();
        for (int y = -Quiet; y < matrix.Size + Quiet; y += 2)
        {
            text.Append(colours ? "\u001b[30;107m" : "");
            for (int x = -Quiet; x < matrix.Size + Quiet; x++)
            {
                text.Append((matrix[x, y], matrix[x, y + 1]) switch
                {
                    (true, true) => '\u2588',
                    (true, false) => '\u2580',
                    (false, true) => '\u2584',
                    _ => ' ',
                });
            }

            text.Append(colours ? "\u001b[0m\n" : "\n");
        }

        return text.ToString();
    }

    private static QrMatrix Matrix(byte[] content)
    {
        var (version, medium) = QrCodewords.Fit(content.Length);
        return QrMatrix.Of(content, version, medium);
    }
}
