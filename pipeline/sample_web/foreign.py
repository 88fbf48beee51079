"""Short stories in other languages than English, written for this web, for dedup to remove."""

STORIES: dict[str, list[tuple[str, ...]]] = {
    "fr": [
        (
            "Le marché du samedi",
            "Chaque samedi matin, bien avant le lever du soleil, les premiers maraîchers arrivent "
            "sur la place de l'église et déchargent leurs cageots de légumes. On y trouve des "
            "carottes encore couvertes de terre, des poireaux, des salades et, selon la saison, "
            "des fraises que les enfants goûtent sans demander la permission. Vers huit heures, "
            "les habitués commencent leur tour et saluent les marchands qu'ils connaissent depuis "
            "des années.",
            "Le fromager raconte volontiers comment son grand-père descendait de la montagne avec "
            "deux mulets, et personne ne l'interrompt, bien que tout le monde ait déjà entendu "
            "cette histoire. À midi, la place se vide, les balayeurs passent, et il ne reste plus "
            "que l'odeur du pain chaud qui flotte encore devant la boulangerie.",
        ),
        (
            "Apprendre à faire du vélo",
            "Il avait six ans quand son père retira les petites roues de sa bicyclette rouge. Le "
            "chemin descendait doucement entre deux champs de blé, et le vent soufflait dans son "
            "dos comme pour l'encourager. Il tomba trois fois, s'écorcha les genoux, se releva, "
            "et chaque fois il jura que ce serait la dernière tentative.",
            "À la quatrième, il ne remarqua même pas que la main qui tenait la selle l'avait "
            "lâché depuis longtemps. Il roula jusqu'au pont, s'arrêta en posant les deux pieds "
            "par terre, puis se retourna avec un sourire que sa famille évoque encore "
            "aujourd'hui, lorsque l'on sort les vieilles photographies.",
        ),
        (
            "La bibliothèque du quartier",
            "La bibliothèque de notre quartier occupe l'ancien bureau de poste, un bâtiment de "
            "briques aux hautes fenêtres. Au rez-de-chaussée, les enfants s'installent sur des "
            "coussins pour écouter des contes, tandis qu'au premier étage les étudiants "
            "travaillent en silence devant leurs ordinateurs. On peut y emprunter dix ouvrages "
            "pour trois semaines, sans rien payer.",
            "Depuis l'an dernier, des bénévoles y proposent aussi des ateliers de réparation : on "
            "apporte une lampe ou une radio, et l'on apprend à la remettre en état. La directrice "
            "affirme que le nombre de visiteurs a presque doublé, ce qui réjouit la mairie autant "
            "que les libraires voisins.",
        ),
    ],
    "de": [
        (
            "Der Garten hinter dem Haus",
            "Hinter dem alten Haus meiner Großeltern lag ein Garten, der uns Kindern unendlich "
            "groß erschien. Zwischen den Apfelbäumen hatten wir eine Hütte aus Brettern gebaut, "
            "deren Dach bei jedem Regen an einer anderen Stelle undicht wurde. Im Sommer "
            "pflückten wir Johannisbeeren, und die Großmutter kochte daraus eine Marmelade, die "
            "bis zum nächsten Frühjahr reichte.",
            "Der Großvater saß am Abend auf der Bank neben der Regentonne, rauchte seine Pfeife "
            "und erzählte von den Jahren, in denen er als Schreiner durch das Land gezogen war. "
            "Wir verstanden nicht alles, aber wir hörten ihm zu, bis die Glocke der Kirche neun "
            "schlug und wir ins Bett mussten.",
        ),
        (
            "Mit dem Zug in die Berge",
            "Am frühen Morgen stiegen wir in den Zug, der uns in weniger als drei Stunden in die "
            "Berge bringen sollte. Draußen lag noch Nebel über den Feldern, und im Abteil roch es "
            "nach Kaffee und frischen Brötchen. Eine ältere Dame erklärte uns, welche Gipfel man "
            "bei klarem Wetter vom Fenster aus sehen könne.",
            "Kurz vor der Ankunft riss die Wolkendecke auf, und plötzlich standen die "
            "verschneiten Hänge so nah vor uns, dass wir unwillkürlich still wurden. Auf dem "
            "Bahnsteig wehte ein kalter Wind, doch niemand beklagte sich, denn vor uns lag eine "
            "Woche ohne Termine, ohne Telefon und ohne jede Verpflichtung.",
        ),
        (
            "Warum wir Brot backen",
            "Wer einmal angefangen hat, sein Brot selbst zu backen, der hört so schnell nicht "
            "wieder damit auf. Man braucht dafür kaum mehr als Mehl, Wasser, Salz und etwas "
            "Geduld, denn ein guter Teig ruht mindestens zwölf Stunden. In dieser Zeit geschieht "
            "scheinbar nichts, und doch verändert sich alles.",
            "Wenn das Brot schließlich aus dem Ofen kommt, knistert die Kruste leise, während sie "
            "abkühlt. Das erste Stück isst man am besten noch warm, nur mit Butter. Der Nachbar "
            "behauptet zwar, man müsse einen Tag warten, aber bisher haben wir das noch nie "
            "geschafft, und er selbst vermutlich auch nicht.",
        ),
    ],
    "es": [
        (
            "El faro de la isla",
            "En la punta más alejada de la isla hay un faro que dejó de funcionar hace más de "
            "treinta años. Los pescadores todavía lo usan como referencia cuando vuelven a casa "
            "al atardecer, y los niños del pueblo aseguran que por las noches se oyen pasos en la "
            "escalera de caracol. Nadie ha podido comprobarlo, porque la puerta está cerrada con "
            "un candado oxidado.",
            "El último farero se llamaba Anselmo y vivía allí con su perro y una colección de "
            "relojes que nunca marcaban la misma hora. Cuando le preguntaban por qué no los "
            "ajustaba, respondía que en el mar cada barco lleva su propio tiempo y que a él le "
            "gustaba escucharlos todos a la vez.",
        ),
        (
            "La receta de mi abuela",
            "Mi abuela preparaba las lentejas de una manera que ninguno de nosotros ha conseguido "
            "repetir. Las ponía en remojo la noche anterior, picaba la cebolla muy fina y añadía "
            "un trozo de chorizo que compraba siempre en la misma carnicería. Después dejaba la "
            "olla a fuego lento durante horas y nos prohibía levantar la tapa.",
            "Cuando por fin nos sentábamos a la mesa, el olor había llenado toda la casa y hasta "
            "los vecinos llamaban a la puerta con cualquier excusa. Ella se reía, sacaba otro "
            "plato y decía que donde comen seis también comen siete, siempre que alguien se "
            "encargue luego de fregar.",
        ),
        (
            "Un viaje en autobús",
            "El autobús salió de la estación con media hora de retraso, y nadie pareció "
            "sorprenderse. A mi lado viajaba un hombre que llevaba una jaula con dos canarios, y "
            "durante todo el camino les habló en voz baja para que no se asustaran con las "
            "curvas. Por la ventana pasaban olivos, casas blancas y algún burro que nos miraba "
            "sin interés.",
            "Al llegar a la ciudad ya era de noche y llovía un poco. El hombre de los canarios me "
            "deseó buena suerte, cubrió la jaula con su chaqueta y desapareció entre la gente. "
            "Nunca supe adónde iba, pero desde entonces pienso en él cada vez que oigo cantar a "
            "un pájaro.",
        ),
    ],
    "it": [
        (
            "La bottega del falegname",
            "Nella via stretta che porta al porto c'è ancora la bottega di un falegname che "
            "lavora soltanto con gli attrezzi di suo padre. Appena si apre la porta si sente il "
            "profumo del legno appena tagliato, e sul bancone ci sono sempre trucioli, matite "
            "consumate e una tazza di caffè ormai freddo. Non accetta mai più di tre lavori alla "
            "volta.",
            "I clienti devono aspettare qualche mese, ma nessuno si lamenta, perché una sedia "
            "fatta da lui dura tutta la vita. Quando gli chiedono chi continuerà il mestiere, "
            "indica la nipote che disegna seduta in un angolo e dice che lei ha già le mani "
            "giuste, anche se non lo sa ancora.",
        ),
        (
            "Una domenica al lago",
            "La domenica mattina partivamo presto per il lago, con il cestino pieno di panini e "
            "una coperta che mia madre aveva cucito da giovane. Il nonno conosceva un sentiero "
            "che nessun altro usava, e dopo mezz'ora di cammino ci trovavamo davanti a una "
            "piccola spiaggia di sassi, tutta per noi. L'acqua era fredda anche in agosto.",
            "Nel pomeriggio, quando il vento si alzava, guardavamo le barche a vela che "
            "attraversavano il lago e facevamo a gara per indovinare quale sarebbe arrivata per "
            "prima. Chi perdeva doveva portare il cestino vuoto fino alla macchina, ma alla fine "
            "lo portava sempre mio padre.",
        ),
    ],
    "pt": [
        (
            "O eléctrico número doze",
            "O eléctrico número doze sobe a colina devagar, como se quisesse dar tempo aos "
            "passageiros para olharem pelas janelas. Nas varandas há roupa a secar e vasos de "
            "manjericão, e de vez em quando alguém acena a um conhecido que vai sentado lá "
            "dentro. O condutor conhece quase toda a gente e espera por quem vem a correr.",
            "Os turistas tiram fotografias e perguntam onde fica o miradouro, mas os moradores "
            "sabem que a melhor vista é a da última curva, antes da paragem final. Ali, durante "
            "alguns segundos, vê-se o rio inteiro, com os barcos e a ponte, e depois o eléctrico "
            "entra outra vez na sombra das casas.",
        ),
        (
            "As noites de Verão na aldeia",
            "No Verão, a aldeia enchia-se de gente que vivia o resto do ano na cidade ou no "
            "estrangeiro. À noite, depois do jantar, as famílias levavam cadeiras para a rua e "
            "ficavam a conversar até tarde, enquanto as crianças brincavam às escondidas entre os "
            "palheiros. Ninguém tinha pressa e ninguém olhava para o relógio.",
            "A minha tia contava histórias de lobos que, segundo ela, tinham descido da serra "
            "quando era pequena. Sabíamos que inventava metade, mas mesmo assim voltávamos para "
            "casa muito juntos, a olhar para trás, e só sossegávamos quando alguém acendia a luz "
            "da cozinha.",
        ),
    ],
    "nl": [
        (
            "Schaatsen op de gracht",
            "Zodra het langer dan een week vriest, haalt iedereen in onze straat de schaatsen van "
            "zolder. De een heeft nog houten schaatsen van zijn grootvader, de ander een "
            "gloednieuw paar dat nooit gebruikt is. Bij de brug staat een kraampje waar een "
            "buurvrouw warme chocolademelk verkoopt, en de opbrengst gaat elk jaar naar het "
            "zwembad.",
            "Aan het eind van de middag kleurt de lucht oranje en worden de schaduwen van de "
            "bomen steeds langer. De kinderen willen nog één keer tot aan de molen en terug, en "
            "hun ouders doen alsof ze daar lang over moeten nadenken. Thuis worden de natte "
            "wanten over de verwarming gehangen.",
        ),
        (
            "De fiets van de postbode",
            "De postbode in ons dorp rijdt al twintig jaar op dezelfde groene fiets. Hij heeft "
            "hem zo vaak laten repareren dat er volgens de fietsenmaker geen enkel oorspronkelijk "
            "onderdeel meer aan zit. Zelf vindt hij dat onzin: een fiets blijft volgens hem "
            "dezelfde fiets zolang je hem elke ochtend bij zijn naam noemt.",
            "Bij regen draagt hij een gele jas die tot aan zijn knieën komt en waaraan je hem van "
            "verre herkent. De honden blaffen niet meer naar hem, behalve die van de bakker, maar "
            "die blaft ook naar wolken. Als er geen post voor je is, steekt hij toch even zijn "
            "hand op.",
        ),
    ],
}
