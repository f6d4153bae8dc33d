using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Evident;

/// <summary>Users of this machine, as the kernel knows them.</summary>
internal static partial class LocalUser
{
    /// <summary>The effective user id of this process.</summary>
    public static uint Own => geteuid();

    /// <summary>Files and sockets that this process makes are for its user only.</summary>
    public static void KeepFilesPrivate() => _ = umask(0x3F /* 077 */);

    /// <summary>Who is at the other end of a connected unix socket (SO_PEERCRED: fixed by the kernel at connect, not claimed).</summary>
    public static uint PeerOf(Socket socket)
    {
        const int socketLevel = 1, peerCredentials = 17;
        Span<byte> credentials = stackalloc byte[12]; // struct ucred: pid, uid, gid
        int length = socket.GetRawSocketOption(socketLevel, peerCredentials, credentials);
        return length == credentials.Length
            ? BinaryPrimitives.ReadUInt32LittleEndian(credentials[4..])
            : throw new SocketException((int)SocketError.ProtocolOption, $"SO_PEERCRED gave {length} bytes.");
    }

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc")]
    private static partial uint umask(uint mask);
}
