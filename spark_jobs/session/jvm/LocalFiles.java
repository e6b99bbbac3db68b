package millrace.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.attribute.PosixFilePermission;
import java.util.HashSet;
import java.util.Set;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;

/**
 * Hadoop's local files, with permissions set in this process.
 *
 * Without its native library, which PySpark does not include, Hadoop runs `chmod` for each file that
 * it creates: a dozen processes per micro-batch.
 */
public class LocalFiles extends LocalFileSystem {
    public LocalFiles() {
        super(new Raw());
    }

    /** The files themselves, below the checksums. */
    public static class Raw extends RawLocalFileSystem {
        public void setPermission(Path path, FsPermission permission) throws IOException {
            Set wanted = new HashSet();
            PosixFilePermission[] all = PosixFilePermission.values();
            // From OWNER_READ, 0400, to OTHERS_EXECUTE, 0001.
            for (int i = 0; i < all.length; i++) {
                if ((permission.toShort() & (0400 >> i)) != 0) {
                    wanted.add(all[i]);
                }
            }
            Files.setPosixFilePermissions(pathToFile(path).toPath(), wanted);
        }
    }
}
