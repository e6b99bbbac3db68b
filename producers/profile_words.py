"""Names, places and number formats of the offline profiles, per nationality.

Data only. In a number format `#` stands for a digit and, in a postcode, `@` for a letter. Postcodes
of `numeric_postcode` countries are JSON numbers, as in the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Country:
    """Data of one nationality; texts contain words separated by commas."""

    name: str
    share: int
    women: str
    men: str
    last: str
    streets: str
    places: tuple[tuple[str, str], ...]
    postcode: str
    phones: tuple[str, ...]
    cells: tuple[str, ...]
    id_name: str
    id_value: str
    offset: str
    zone: str
    numeric_postcode: bool = False


COUNTRIES: Final[Mapping[str, Country]] = {
    "US": Country(
        "United States", 20,
        "Emma,Olivia,Ava,Sophia,Mia,Harper,Evelyn,Abigail,Grace,Zoey",
        "Liam,Noah,Mason,Ethan,Logan,Lucas,Jackson,Aiden,Wyatt,Carter",
        "Smith,Johnson,Williams,Brown,Jones,Miller,Davis,Garcia,Wilson,O'Connor,Van Dyke",
        "Main St,Oak Ave,Cedar Ln,Sunset Blvd,Washington Ave,Lakeview Dr",
        (("Portland", "Oregon"), ("Austin", "Texas"), ("Columbus", "Ohio"),
         ("Albany", "New York"), ("St. Louis", "Missouri")),
        "#####", ("(###) ###-####",), ("(###) ###-####",), "SSN", "###-##-####",
        "-5:00", "Eastern Time (US & Canada), Bogota, Lima", numeric_postcode=True,
    ),
    "FR": Country(
        "France", 18,
        "Chloé,Léa,Manon,Inès,Zoé,Éléonore,Anaïs,Maëlys,Camille,Noémie",
        "Léo,Gabriel,Raphaël,Théo,Noé,Loïc,Étienne,Jérôme,Maël,Clément",
        "Martin,Bernard,Dubois,Lefèvre,Moreau,François,Gauthier,Béranger,Le Gall,D'Amico",
        "Rue de la République,Avenue Jean Jaurès,Place de l'Église,Rue du Bât-d'Argent,Quai Branly",
        (("Paris", "Paris"), ("Lyon", "Rhône"), ("Besançon", "Doubs"), ("Nîmes", "Gard"),
         ("Saint-Étienne", "Loire")),
        "#####", ("01-##-##-##-##", "+33 4 ## ## ## ##"), ("06-##-##-##-##", "+33 6 ## ## ## ##"),
        "INSEE", "############# ##", "+1:00", "Brussels, Copenhagen, Madrid, Paris",
        numeric_postcode=True,
    ),
    "DE": Country(
        "Germany", 12,
        "Mia,Hannah,Käthe,Jördis,Lena,Bärbel,Sophie,Marlene",
        "Jürgen,Björn,Felix,Jörg,Paul,Götz,Maximilian,Sören",
        "Müller,Schröder,Weiß,Großmann,Schäfer,Köhler,Becker,von Hagen",
        "Hauptstraße,Bahnhofstraße,Gartenweg,Mühlenweg,Schloßallee",
        (("München", "Bayern"), ("Köln", "Nordrhein-Westfalen"), ("Görlitz", "Sachsen"),
         ("Lübeck", "Schleswig-Holstein")),
        "#####", ("0###-#######", "+49 30 ######"), ("017#-#######",), "SVNR", "## ###### @ ###",
        "+1:00", "Brussels, Copenhagen, Madrid, Paris", numeric_postcode=True,
    ),
    "GB": Country(
        "United Kingdom", 12,
        "Amelia,Isla,Poppy,Freya,Florence,Siobhán,Imogen,Matilda",
        "Oliver,Harry,Alfie,Archie,Rhys,Callum,Seán,Reuben",
        "Taylor,Evans,Walker,Wright,Hughes,O'Neill,Smith-Jones,MacLeod",
        "High Street,Church Road,Victoria Road,Mill Lane,The Crescent",
        (("Leeds", "West Yorkshire"), ("Bath", "Avon"), ("Cardiff", "South Glamorgan"),
         ("Stoke-on-Trent", "Staffordshire")),
        "@@# #@@", ("01### ######", "020 #### ####"), ("07### ######", "+44 7### ######"),
        "NINO", "@@ ## ## ## @", "0:00", "Western Europe Time, London, Lisbon, Casablanca",
    ),
    "ES": Country(
        "Spain", 9,
        "Lucía,María José,Begoña,Inés,Ángeles,Verónica,Rocío",
        "Álvaro,Íñigo,José Luis,Andrés,Rubén,Joaquín,Óscar",
        "García,Muñoz,Núñez,Peña,Hernández,Ibáñez,Vázquez",
        "Calle de Alcalá,Avenida de América,Calle Mayor,Paseo de la Reina",
        (("Cádiz", "Andalucía"), ("A Coruña", "Galicia"), ("León", "Castilla y León")),
        "#####", ("9##-###-###",), ("6##-###-###", "+34 6## ### ###"), "DNI", "########-@",
        "+1:00", "Brussels, Copenhagen, Madrid, Paris", numeric_postcode=True,
    ),
    "NL": Country(
        "Netherlands", 7,
        "Fleur,Noëlle,Saskia,Roos,Daniëlle,Maaike",
        "Daan,Joël,Sjoerd,Matthijs,Luuk,Ruben",
        "de Vries,van den Berg,Jansen,'t Hart,Bakker,Koning",
        "Dorpsstraat,Kerkstraat,Lange Nieuwstraat,Prinsengracht",
        (("Utrecht", "Utrecht"), ("'s-Hertogenbosch", "Noord-Brabant"), ("Leiden", "Zuid-Holland")),
        "#### @@", ("(0##) #######",), ("(06) ########", "+31 6 ########"), "BSN", "########",
        "+1:00", "Brussels, Copenhagen, Madrid, Paris",
    ),
    "DK": Country(
        "Denmark", 5,
        "Søs,Freja,Kirstine,Åse,Maja", "Jørgen,Søren,Åge,Magnus,Lærke",
        "Sørensen,Møller,Nørgård,Østergaard,Christensen",
        "Nørregade,Ågade,Søndergade,Strandvejen",
        (("København K", "Hovedstaden"), ("Århus", "Midtjylland"), ("Rødovre", "Hovedstaden")),
        "####", ("########",), ("########", "+45 ## ## ## ##"), "CPR", "######-####",
        "+1:00", "Brussels, Copenhagen, Madrid, Paris", numeric_postcode=True,
    ),
    "CA": Country(
        "Canada", 7,
        "Charlotte,Maya,Élodie,Brooke,Florence", "William,Félix,Samuel,Olivier,Logan",
        "Tremblay,Roy,Côté,Gagnon,MacDonald,Chan",
        "Maple Ave,Rue Sainte-Catherine,Queen St,Dufferin St",
        (("Montréal", "Québec"), ("Halifax", "Nova Scotia"), ("Regina", "Saskatchewan")),
        "@#@ #@#", ("@## @##-####", "(###) ###-####"), ("### ###-####",), "SIN", "#########",
        "-5:00", "Eastern Time (US & Canada), Bogota, Lima",
    ),
    "TR": Country(
        "Turkey", 5,
        "Ayşe,Gülşah,Çiğdem,Işıl,Özlem", "İsmail,Oğuz,Çağlar,Ümit,Şükrü",
        "Yıldırım,Öztürk,Çelik,Şahin,Koç", "Atatürk Sk,İstiklal Cd,Bağdat Cd",
        (("İzmir", "İzmir"), ("Şanlıurfa", "Şanlıurfa"), ("Eskişehir", "Eskişehir")),
        "#####", ("(###)-###-####",), ("(5##)-###-####", "+90 5## ### ## ##"), "", "",
        "+3:00", "Baghdad, Riyadh, Moscow, St. Petersburg", numeric_postcode=True,
    ),
    "RS": Country(
        "Serbia", 5,
        "Јелена,Милица,Драгана,Ђурђа,Љиљана", "Никола,Ђорђе,Жарко,Милош,Ненад",
        "Петровић,Јовановић,Ђокић,Шашић,Живковић", "Кнез Михаилова,Булевар ослобођења,Змај Јовина",
        (("Београд", "Београд"), ("Нови Сад", "Војводина"), ("Ниш", "Нишава")),
        "#####", ("0##-####-###",), ("06#-####-###",), "SID", "#########",
        "+1:00", "Brussels, Copenhagen, Madrid, Paris", numeric_postcode=True,
    ),
}  # fmt: skip
# The API's domain, and others that it never uses.
EMAIL_DOMAINS: Final[Mapping[str, int]] = {
    "example.com": 50, "example.org": 16, "example.net": 12, "mail.example.org": 8,
    "Example.COM": 4, "student.example.edu": 6, "société.example": 4,
}  # fmt: skip
